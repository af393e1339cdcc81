"""manage.py prune_expired deletes expired rows and nothing else."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django import app
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from core.database_clock import MARGIN
from core.throttling import Quota, count_attempt
from organizations.models import Attempt, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_user
from tests.plans import nodes
from tokens.access_tokens import new_token_id
from tokens.keys import rotate_signing_key
from tokens.models import LoginSession, Revocation, SigningKey
from tokens.pruning import _delete, past_attempts, prune_expired

EXPIRED = -int(MARGIN.total_seconds()) - 60


def make_revocation(organization: Organization, *, seconds: int) -> None:
    with organization_scope(organization):
        Revocation.objects.create(
            organization=organization,
            token_id=new_token_id(),
            expires_at=timezone.now() + timedelta(seconds=seconds),
        )


def revocations_of(organization: Organization) -> int:
    with organization_scope(organization):
        return Revocation.objects.count()


def test_revocations_go_in_every_organization(
    organization: Organization, other_organization: Organization
) -> None:
    for owner in (organization, other_organization):
        for _ in range(5):
            make_revocation(owner, seconds=EXPIRED)
        make_revocation(owner, seconds=60)
        make_revocation(owner, seconds=-3600)  # a slow clock still accepts its token

    pruned = prune_expired(batch=2)

    assert pruned["revocations of expired tokens"] == 10
    assert revocations_of(organization) == revocations_of(other_organization) == 2


def test_the_ring_keeps_what_is_still_accepted(db: None) -> None:
    gone = rotate_signing_key("ES256")
    SigningKey.objects.filter(pk=gone.pk).update(removed_at=timezone.now() - timedelta(days=1))
    before = SigningKey.objects.count()

    pruned = prune_expired()

    assert pruned["removed signing keys"] == 1
    assert SigningKey.objects.count() == before - 1
    assert not SigningKey.objects.filter(pk=gone.pk).exists()


def test_counters_of_a_running_window_stay(db: None) -> None:
    hour = Quota(1, timedelta(hours=1))
    for key in ("new", "old", "older"):
        count_attempt(key, hour)
    Attempt.objects.filter(key__startswith="old").update(ends_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("SELECT organizations_note_failure('full', 0, '1 minute', 'left out x')")

    app.tasks["tokens.prune_attempts"](timestamp=0)

    assert set(Attempt.objects.values_list("key", flat=True)) == {"new", "full", "left out x"}
    assert ("tokens.prune_attempts", "17 * * * *") in {
        (each.name, cron) for each, cron in nightly()
    }


def test_pruning_reads_the_counters_that_it_deletes_and_no_others(owner: Any) -> None:
    """Those of a flood are many, and most of them still count."""
    owner.execute(
        "INSERT INTO organizations_attempt (key, started_at, ends_at, attempts) "
        "SELECT n, now(), now() + (n - 100) * interval '1 minute', 1 "
        "FROM generate_series(1, 9000) n"
    )
    owner.execute("ANALYZE organizations_attempt")

    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        assert _delete(past_attempts(), 10) == 10
        plans = []
        for query in captured.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
                plans += list(nodes(cursor.fetchone()[0][0]["Plan"]))

    assert {node["Index Name"] for node in plans if "Index Name" in node} == {
        "organizations_attempt_ends",
        "organizations_attempt_pkey",
    }
    assert not {"Seq Scan", "Sort"} & {node["Node Type"] for node in plans}


def test_login_sessions_go_after_their_last_token(db: None) -> None:
    now = timezone.now()
    user = make_user()
    live = LoginSession.objects.create(user=user)
    ended = LoginSession.objects.create(user=user, ended_at=now)
    LoginSession.objects.create(user=user, ended_at=now - timedelta(days=2))
    LoginSession.objects.create(user=user, created_at=now - timedelta(days=40))

    prune_expired()

    assert set(LoginSession.objects.all()) == {live, ended}


@pytest.mark.parametrize(("seconds", "stays"), [(60, True), (-3600, True), (EXPIRED, False)])
def test_used_refresh_tokens_are_remembered_until_they_expire(
    db: None, seconds: int, stays: bool
) -> None:
    token = OutstandingToken.objects.create(
        user=make_user(), jti="x", expires_at=timezone.now() + timedelta(seconds=seconds)
    )
    BlacklistedToken.objects.create(token=token)

    prune_expired()

    assert BlacklistedToken.objects.exists() is stays


def test_the_command_reports_what_it_deleted(organization: Organization) -> None:
    make_revocation(organization, seconds=EXPIRED)
    out = StringIO()

    call_command("prune_expired", stdout=out)

    assert "1 revocations of expired tokens" in out.getvalue()


def test_the_worker_does_the_same_every_night(organization: Organization) -> None:
    make_revocation(organization, seconds=EXPIRED)
    periodic = {task.name: cron for (task, cron) in nightly()}

    app.tasks["tokens.prune"](timestamp=0)

    assert periodic["tokens.prune"] == "27 3 * * *"
    assert revocations_of(organization) == 0


def nightly() -> Iterator[tuple[Any, str]]:
    for each in app.periodic_registry.periodic_tasks.values():
        yield each.task, each.cron


def test_expired_browser_sessions_go(db: None) -> None:
    for name, hours in (("live", 1), ("past", -1)):
        expires = timezone.now() + timedelta(hours=hours)
        Session.objects.create(session_key=name, session_data="x", expire_date=expires)

    pruned = prune_expired()

    assert pruned["expired browser sessions"] == 1
    assert set(Session.objects.values_list("session_key", flat=True)) == {"live"}
