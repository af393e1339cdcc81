"""manage.py prune_expired deletes expired rows and nothing else."""

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone
from procrastinate.contrib.django import app
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from core.database_clock import MARGIN
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_user
from tokens.access_tokens import new_token_id
from tokens.keys import rotate_signing_key
from tokens.models import LoginSession, Revocation, SigningKey
from tokens.pruning import prune_expired

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
