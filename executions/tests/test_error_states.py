"""Groups of errors have a state, which one clock decides; an operator's word makes it resolved."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from executions import queries, regrouping
from executions.actions import (
    delete_execution,
    forget_resolutions,
    reopen_error_group,
    resolve_error_group,
)
from executions.error_groups import OTHERS
from executions.event_log import NewEvent, append_events
from executions.filters import EVERYTHING, Filters
from executions.models import (
    ErrorGroupNotFound,
    ErrorResolution,
    Execution,
    ExecutionError,
    ResolutionNotFound,
    now,
)
from executions.queries import StateFilter
from executions.tests.factories import FAILED, RUNNING, make_execution, make_user_of
from organizations.actors import Actor
from organizations.models import AuditEvent, Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits
from organizations.tests.factories import make_membership

DAY = timedelta(days=1)


def system(organization: Organization) -> Actor:
    return Actor.for_system(organization, "test")


def fail(organization: Organization, message: str = "disk is full", **fields: Any) -> Execution:
    return make_execution(
        organization, FAILED, events=[NewEvent(now(), "error", message)], **fields
    )


def fingerprint(organization: Organization, message: str = "disk is full") -> str:
    with organization_scope(organization):
        rows = ExecutionError.objects.filter(message=message)
        return rows.values_list("fingerprint", flat=True)[0]


def resolve(organization: Organization, message: str = "disk is full", note: str = "") -> None:
    group = fingerprint(organization, message)
    with organization_scope(organization):
        resolve_error_group(group, actor=system(organization), note=note)


def states(
    organization: Organization,
    actor: Actor | None = None,
    filters: Filters = EVERYTHING,
    **more: Any,
) -> dict[str, str]:
    with organization_scope(organization):
        found = queries.error_groups(organization, actor or system(organization), filters, **more)
    assert found.total == len(found.rows)
    return {row.message: str(row.state.state) for row in found.rows}


def received(organization: Organization, ago: timedelta, **errors: Any) -> None:
    with organization_scope(organization):
        ExecutionError.objects.filter(**errors).update(created_at=Now() - ago)


def test_a_group_is_new_for_a_day_and_then_ongoing(organization: Organization) -> None:
    fail(organization)
    fail(organization, "quota exceeded")
    received(organization, DAY - timedelta(minutes=5), message="quota exceeded")
    assert states(organization) == {"disk is full": "new", "quota exceeded": "new"}

    received(organization, DAY + timedelta(minutes=5), message="quota exceeded")
    fail(organization, "quota exceeded")  # the first one counts

    assert states(organization) == {"disk is full": "new", "quota exceeded": "ongoing"}


@pytest.mark.parametrize("filters", [EVERYTHING, Filters(agent_name="a")], ids=["sums", "rows"])
def test_a_group_that_is_received_after_it_was_resolved_is_regressed(
    organization: Organization, filters: Filters
) -> None:
    fail(organization, agent_name="a")
    fail(organization, "quota exceeded", agent_name="a")
    resolve(organization)
    assert states(organization, filters=filters)["disk is full"] == "resolved"

    fail(organization, "quota exceeded", agent_name="a")
    assert states(organization, filters=filters)["disk is full"] == "resolved"
    fail(organization, agent_name="a")
    assert states(organization, filters=filters) == {
        "disk is full": "regressed",
        "quota exceeded": "new",
    }

    resolve(organization)
    assert states(organization, filters=filters)["disk is full"] == "resolved"
    with organization_scope(organization):
        reopen_error_group(fingerprint(organization), actor=system(organization))
    assert states(organization, filters=filters)["disk is full"] == "new"


@pytest.mark.parametrize("ahead", [-3 * DAY, 3 * DAY], ids=["behind", "ahead"])
def test_no_clock_but_the_databases_decides(organization: Organization, ahead: timedelta) -> None:
    """Neither that of a server, nor that of an engine."""
    found = []
    with time_machine.travel(timezone.now() + ahead):
        for message in ("disk is full", "quota exceeded"):
            fail(organization, message)
        found.append(states(organization))
        resolve(organization)
        found.append(states(organization))
    late = NewEvent(now() - 9 * DAY.total_seconds(), "error", "disk is full")
    make_execution(organization, FAILED, events=[late])
    found.append(states(organization))

    assert [each["disk is full"] for each in found] == ["new", "resolved", "regressed"]
    assert {each["quota exceeded"] for each in found} == {"new"}


def test_groups_are_filtered_by_state(organization: Organization) -> None:
    for message in ("disk is full", "quota exceeded", "no such model", "bad gateway"):
        fail(organization, message, agent_name="a")
    for message in ("disk is full", "no such model"):
        resolve(organization, message)
    received(organization, 2 * DAY, message="quota exceeded")
    fail(organization, agent_name="a")
    expected = {
        StateFilter(("regressed", "new")): {"disk is full", "bad gateway"},
        StateFilter(("resolved",)): {"no such model"},
        StateFilter((), ("resolved", "ongoing")): {"disk is full", "bad gateway"},
        StateFilter(("new", "resolved"), ("new",)): {"no such model"},
        StateFilter(("new",), ("new",)): set(),
    }
    for wanted, messages in expected.items():
        for filters in (EVERYTHING, Filters(agent_name="a"), Filters(end=now() + 60)):
            for order in ("newest", "largest"):
                found = states(organization, filters=filters, states=wanted, order=order)
                assert (wanted, set(found)) == (wanted, messages)


def test_whoever_sees_some_runs_gets_the_state_of_these_and_reads_no_note(
    organization: Organization,
) -> None:
    viewer = make_membership(organization, Membership.Role.VIEWER)
    actor = Actor.for_person(viewer)
    fail(organization, user=make_user_of(viewer))
    resolve(organization, note="a secret of ours")

    fail(organization)

    assert states(organization, actor) == {"disk is full": "resolved"}
    assert states(organization) == {"disk is full": "regressed"}
    with organization_scope(organization):
        [group] = queries.error_groups(organization, actor).rows
        [theirs] = queries.error_groups(organization, system(organization)).rows
    assert (group.state.note, group.state.resolved_by, group.state.resolver) == ("", "", None)
    assert theirs.state.note == "a secret of ours"


def test_resolving_twice_changes_nothing_and_is_recorded_once(organization: Organization) -> None:
    fail(organization)

    def recorded() -> list[tuple[str, str]]:
        with organization_scope(organization):
            rows = AuditEvent.objects.filter(action__startswith="error_group.")
            return [
                (each.action, each.metadata.get("note", "")) for each in rows.order_by("sequence")
            ]

    for note in ("fixed", "fixed", "fixed in 1.4"):
        resolve(organization, note=note)
    with organization_scope(organization):
        [kept] = ErrorResolution.objects.all()
        group = fingerprint(organization)
        reopen_error_group(group, actor=system(organization))
        with pytest.raises(ResolutionNotFound):
            reopen_error_group(group, actor=system(organization))

    assert kept.note == "fixed in 1.4"
    assert recorded() == [
        ("error_group.resolved", "fixed"),
        ("error_group.resolved", "fixed in 1.4"),
        ("error_group.reopened", ""),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_group_is_resolved_while_somebody_else_reopens_it(
    organization: Organization, owner: psycopg.Connection
) -> None:
    fail(organization)
    resolve(organization, note="first")

    def resolve_again() -> None:
        try:
            resolve(organization, note="second")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization.pk)]
            )
            owner.execute("SELECT FROM executions_errorresolution FOR UPDATE")
            waiting = pool.submit(resolve_again)
            until_it_waits(waiting, owner)
            owner.execute("DELETE FROM executions_errorresolution")
        waiting.result()

    with organization_scope(organization):
        assert ErrorResolution.objects.get().note == "second"


def test_a_group_without_errors_cannot_be_resolved(
    organization: Organization, other_organization: Organization
) -> None:
    fail(other_organization)
    group = fingerprint(other_organization)

    with organization_scope(organization), pytest.raises(ErrorGroupNotFound):
        resolve_error_group(group, actor=system(organization))


def test_resolutions_go_with_the_last_error_of_their_group(organization: Organization) -> None:
    runs = [fail(organization), fail(organization)]
    fail(organization, "quota exceeded")
    resolve(organization)
    resolve(organization, "quota exceeded")

    left = []
    for run in runs:
        with organization_scope(organization):
            delete_execution(run, actor=system(organization))
        regrouping.regroup(organization)
        with organization_scope(organization):
            left.append(ErrorResolution.objects.count())

    assert left == [2, 1]


def test_there_are_no_more_resolutions_than_groups(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.actions.error_groups.MAX_GROUPS", 2)
    for n, word in enumerate(("one", "two", "three")):
        run = fail(organization, f"{word} is full")
        resolve(organization, f"{word} is full")
        if n < 2:
            with organization_scope(organization):
                delete_execution(run, actor=system(organization))

    with organization_scope(organization):
        assert ErrorResolution.objects.count() == 1


# Groups of an earlier release


def move(organization: Organization, **fingerprints: str) -> None:
    """Store errors and resolutions as an earlier release did: message to fingerprint."""
    with organization_scope(organization):
        for word, old in fingerprints.items():
            ExecutionError.objects.filter(message__startswith=word).update(fingerprint=old)


def test_a_resolution_moves_with_its_errors(organization: Organization) -> None:
    for message in ("disk is full", "quota of 3", "quota of 4"):
        fail(organization, message)
    move(organization, disk="v1:a", quota="v1:b")
    resolve(organization, note="bigger disk")
    assert states(organization)["disk is full"] == "resolved"

    call_command("regroup_errors", verbosity=0)
    regrouping.regroup(organization)

    assert states(organization) == {"disk is full": "resolved", "quota of 4": "new"}
    with organization_scope(organization):
        [kept] = ErrorResolution.objects.all()
    assert (kept.fingerprint, kept.note) == (fingerprint(organization), "bigger disk")
    fail(organization)
    assert states(organization)["disk is full"] == "regressed"


@pytest.mark.parametrize("last", ["today's", "the earlier release's"])
def test_a_resolution_of_today_yields_only_to_a_later_one(
    organization: Organization, last: str
) -> None:
    fail(organization, "quota of 1")
    move(organization, quota="v1:1")
    fail(organization, "quota of 2")
    words = {"today's": "quota of 2", "the earlier release's": "quota of 1"}
    for name in sorted(words, key=lambda each: each == last):
        resolve(organization, words[name], note=name)

    call_command("regroup_errors", verbosity=0)

    with organization_scope(organization):
        group = fingerprint(organization, "quota of 1")
        assert ErrorResolution.objects.get(fingerprint=group).note == last


@pytest.mark.parametrize("last", ["1", "2"])
def test_of_groups_that_become_one_the_latest_resolution_counts(
    organization: Organization, last: str
) -> None:
    for number in "12":
        fail(organization, f"quota of {number}")
        with organization_scope(organization):
            rows = ExecutionError.objects.filter(message=f"quota of {number}")
            rows.update(fingerprint=f"v1:{number}")
    first = "2" if last == "1" else "1"
    resolve(organization, f"quota of {first}", note="first")
    resolve(organization, f"quota of {last}", note="last")

    call_command("regroup_errors", verbosity=0)

    assert list(states(organization).values()) == ["resolved"]
    with organization_scope(organization):
        group = fingerprint(organization, "quota of 1")
        assert ErrorResolution.objects.get(fingerprint=group).note == "last"


def test_an_unresolved_group_that_joins_a_resolved_one_is_not_hidden(
    organization: Organization,
) -> None:
    fail(organization, "quota of 1")
    move(organization, quota="v1:1")
    resolve(organization, "quota of 1")
    fail(organization, "quota of 2")

    call_command("regroup_errors", verbosity=0)

    assert list(states(organization).values()) == ["regressed"]


def test_the_group_of_all_others_inherits_no_resolution(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(organization)
    fail(organization, "quota exceeded")
    move(organization, disk="v1:a")
    resolve(organization)
    monkeypatch.setattr("executions.error_groups.MAX_GROUPS", 1)

    call_command("regroup_errors", verbosity=0)

    with organization_scope(organization):
        assert ExecutionError.objects.filter(fingerprint=OTHERS).exists()
    assert states(organization)["disk is full"] == "new"


def test_what_is_left_of_a_deleted_run_is_no_error_of_a_group(organization: Organization) -> None:
    run = make_execution(organization, RUNNING)
    with organization_scope(organization):
        append_events(run, [NewEvent(now(), "error", "disk is full")], is_strict=False)
    resolve(organization)
    fail(organization, "quota exceeded")
    with organization_scope(organization):
        delete_execution(run, actor=system(organization), stop=True)
        assert forget_resolutions(organization) == 1


def test_an_agent_that_sees_only_its_own_runs_resolves_nothing(
    organization: Organization, client_for: Any
) -> None:
    client: Client = client_for(organization, scopes="executions:write executions:read")
    fail(organization)
    url = f"/api/dashboard/error-groups/{fingerprint(organization)}/resolution"

    refused = client.put(url, {}, content_type="application/json")

    assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
    assert client.delete(url).status_code == 403
    assert states(organization) == {"disk is full": "new"}
