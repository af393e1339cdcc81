"""Rollups stay exact under batches and concurrent writers, and a damaged one is repaired."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F, Sum

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.models import NOBODY, AgentDayUsage, AgentMonthUsage, HourUsage, QuarterUsage
from analytics.rebuild import rebuild_rollups
from analytics.tests.factories import event, make_event, store
from core.rollups import Rollup
from organizations.models import UNIDENTIFIED_ORGANIZATION_ID, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tokens.models import TokenEvent

NOW = datetime(2026, 11, 22, 12, 7, tzinfo=UTC)
INSERT_FOR_EACH = """
INSERT INTO tokens_tokenevent (id, organization_id, created_at, outcome, reason, scope,
                               used_previous_secret, resource, secret_hint, credential_name)
SELECT gen_random_uuid(), tenant, now(), 'refused', 'unknown_client', '', false, '', '', ''
FROM unnest(%s::uuid[]) tenant
"""
ROLLUPS = [HourUsage, QuarterUsage, AgentDayUsage, AgentMonthUsage]


def run_at_once(work: list[Callable[[], None]]) -> list[BaseException]:
    """Run each function in a thread with its own connection; return the exceptions."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(work))

    def run(one: Callable[[], None]) -> None:
        try:
            start.wait(30)
            one()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return errors


def total(organization: Organization, rollup: type) -> int:
    with organization_scope(organization):
        return rollup.objects.aggregate(total=Sum("issued"))["total"] or 0


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_batches_and_single_events_at_once_are_all_counted_without_a_deadlock() -> None:
    organization = make_organization()
    agents = [make_agent(organization) for _ in range(12)]

    def batches(order: int) -> Callable[[], None]:
        def run() -> None:
            for _ in range(4):
                chosen = agents[::order]
                at = [NOW + timedelta(minutes=17 * order * n) for n in range(12)]
                store(organization, [event(a, t) for a, t in zip(chosen, at, strict=True)])

        return run

    def singles() -> None:
        for agent in reversed(agents):
            make_event(agent, NOW)

    def rebuild() -> None:
        for _ in range(3):
            assert rebuild_rollups(organization) == ()

    errors = run_at_once([batches(1), batches(-1), batches(1), batches(-1), singles, rebuild])

    assert errors == []
    assert [total(organization, rollup) for rollup in ROLLUPS] == [4 * 4 * 12 + 12] * 4
    assert rebuild_rollups(organization) == ()


@pytest.mark.parametrize("rollup", ROLLUPS)
@pytest.mark.parametrize("damage", ["changed", "removed", "invented"])
def test_a_rebuild_repairs_and_reports_damage(
    organization: Organization,
    other_organization: Organization,
    rollup: type,
    damage: str,
) -> None:
    agent = make_agent(organization)
    for hours in (0, 1, 30):
        make_event(agent, NOW - timedelta(hours=hours))
    make_event(make_agent(other_organization), NOW)
    with organization_scope(organization):
        rows = rollup.objects.all()
        if damage == "changed":
            rows.update(issued=F("issued") + 7)
        elif damage == "removed":
            rows.delete()
        else:
            row = rows.first()
            for name in ("hour", "quarter"):
                if hasattr(row, name):
                    setattr(row, name, 1)
            for name in ("day", "month"):
                if hasattr(row, name):
                    setattr(row, name, datetime(2001, 1, 1, tzinfo=UTC).date())
            rollup.objects.bulk_create([row])

    output = StringIO()
    call_command("rebuild_rollups", organization=organization.public_id, stdout=output)

    assert f"{rollup._meta.db_table}: " in output.getvalue()
    assert total(organization, rollup) == 3
    assert total(other_organization, rollup) == 1
    assert rebuild_rollups(organization) == ()


def test_a_rebuild_that_finds_nothing_says_so(organization: Organization) -> None:
    make_event(make_agent(organization), NOW)

    output = StringIO()
    call_command("rebuild_rollups", stdout=output)

    assert f"{organization.slug}: all rollups equal the recount" in output.getvalue()


@pytest.mark.parametrize("name", ["org-00000000-0000-4000-8000-000000000000", "nobody"])
def test_a_rebuild_of_an_unknown_organization_is_refused(db: None, name: str) -> None:
    with pytest.raises(CommandError, match="There is no organization"):
        call_command("rebuild_rollups", organization=name)


def test_a_request_of_an_unknown_client_is_counted_under_nobody(db: None) -> None:
    unidentified = Organization.objects.get(pk=UNIDENTIFIED_ORGANIZATION_ID)
    with organization_scope(unidentified):
        TokenEvent.objects.create(organization=unidentified, created_at=NOW, outcome="refused")

        row = AgentDayUsage.objects.get()

    assert (row.agent_id, row.credential_id, row.refused) == (NOBODY, NOBODY, 1)
    assert rebuild_rollups(unidentified) == ()


def test_an_event_counts_as_often_as_it_says(organization: Organization) -> None:
    agent = make_agent(organization)
    shared = make_event(agent, NOW, outcome="introspected", times=3)
    store(organization, [event(agent, NOW, outcome="introspected", times=n) for n in (2, 5)])
    with organization_scope(organization):
        TokenEvent.objects.filter(pk=shared.pk).update(times=F("times") + 4)
        TokenEvent.objects.update(scope="agents:read")

        counts = [rollup.objects.get().introspected for rollup in ROLLUPS]

    assert counts == [14] * 4
    assert rebuild_rollups(organization) == ()


def test_the_newest_event_is_remembered_whatever_the_order(organization: Organization) -> None:
    agent: Agent = make_agent(organization)
    for minutes in (5, 0, 3):
        make_event(agent, NOW - timedelta(minutes=minutes))

    with organization_scope(organization):
        assert AgentDayUsage.objects.get().last_at == NOW
        assert AgentMonthUsage.objects.get().last_at == NOW


def test_events_that_are_taken_back_are_not_counted(organization: Organization) -> None:
    agent = make_agent(organization)

    with pytest.raises(ZeroDivisionError), organization_scope(organization):  # noqa: PT012
        TokenEvent.objects.bulk_create([event(agent, NOW)])
        raise ZeroDivisionError

    assert [total(organization, rollup) for rollup in ROLLUPS] == [0] * 4


def test_a_rebuild_waits_for_no_writer_and_counts_it_once(
    owner: psycopg.Connection,
) -> None:
    tenants = [make_organization(), make_organization()]
    with organization_scope(tenants[0]):
        HourUsage.objects.create(
            organization=tenants[0], hour=1, issued=3, refused=0, introspected=0, revoked=0
        )
    with owner.transaction():
        keys = [each.pk for each in tenants]
        entered = "{" + ",".join(map(str, keys)) + "}"
        owner.execute("SELECT set_config('app.organization_ids', %s, true)", [entered])
        owner.execute(INSERT_FOR_EACH, [keys])

        assert [difference.rows for difference in rebuild_rollups(tenants[0])] == [1]
        assert rebuild_rollups(tenants[1]) == ()

    for each in tenants:
        assert rebuild_rollups(each) == ()
        with organization_scope(each):
            assert [row.refused for row in HourUsage.objects.all()] == [1]


def test_a_writer_waits_for_a_rebuild_no_longer_than_a_row_is_corrected(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it compares, which may take long, it holds no lock that a writer needs."""
    agent = make_agent(organization)
    make_event(agent, NOW)
    compare = Rollup._compare

    def compare_beside_a_writer(rollup: Rollup) -> object:
        found = compare(rollup)
        make_event(agent, NOW)
        return found

    monkeypatch.setattr(Rollup, "_compare", compare_beside_a_writer)
    with organization_scope(organization):
        HourUsage.objects.update(issued=F("issued") + 7)
        AgentDayUsage.objects.update(last_at=NOW + timedelta(days=1))

    rebuild_rollups(organization)
    monkeypatch.undo()

    assert rebuild_rollups(organization) == ()
