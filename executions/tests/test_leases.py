"""Leases: a holder that does not return in time loses its lease and cannot write any more."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.tests.factories import make_agent
from core.errors import InvalidValue
from executions import actions, leases, runner, uploads
from executions.actions import ReportedEvent
from executions.models import Execution, ExecutionHasEnded, LeaseLost
from executions.tests.factories import RUNNING, actor_of, make_execution
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import (
    current_organization_id,
    make_membership,
    make_organization,
    make_user,
)

LINE = [ReportedEvent("stdout", "a")]


@pytest.fixture
def actor(organization):
    with organization_scope(organization):
        yield actor_of(make_agent(organization))


def leased(actor) -> Execution:
    return actions.report_execution(actor=actor, lease_seconds=30)[0]


def lapse(execution: Execution, seconds: float = 1) -> None:
    Execution.objects.filter(pk=execution.pk).update(
        lease_expires_at=timezone.now() - timedelta(seconds=seconds)
    )


def test_a_holder_writes_with_its_generation(actor):
    execution = leased(actor)

    assert actions.append(execution, LINE, actor=actor, lease=1).accepted == 1
    with pytest.raises(InvalidValue, match="X-Lease-Generation"):
        actions.append(execution, LINE, actor=actor)


def test_a_former_lease_holder_cannot_write(actor):
    execution = leased(actor)
    taken = actions.heartbeat(execution, actor=actor, take_over=True)

    assert taken.lease_generation == 2
    for write in (
        lambda: actions.append(execution, LINE, actor=actor, lease=1),
        lambda: actions.finish(execution, actor=actor, status="finished", lease=1),
        lambda: actions.heartbeat(execution, actor=actor, lease=1),
        lambda: actions.update_figures(execution, actor=actor, lease=1, input_tokens=5),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert Execution.objects.get().last_sequence == 1
    assert actions.append(execution, LINE, actor=actor, lease=2).accepted == 1


def test_a_generation_without_a_lease_is_refused(actor):
    execution = actions.report_execution(actor=actor)[0]

    with pytest.raises(LeaseLost):
        actions.append(execution, LINE, actor=actor, lease=1)
    assert actions.heartbeat(execution, actor=actor, seconds=10).lease_generation == 1
    with pytest.raises(InvalidValue):
        actions.append(execution, LINE, actor=actor)


@pytest.mark.parametrize("sign", ["heartbeat", "append", "figures", "file"])
def test_a_sign_of_life_renews_even_a_lapsed_lease(actor, sign):
    execution = leased(actor)
    lapse(execution)
    assert leases.lapsed_leases() == [(execution.organization_id, execution.pk)]

    if sign == "append":
        actions.append(execution, LINE, actor=actor, lease=1)
    elif sign == "figures":
        actions.update_figures(execution, actor=actor, lease=1, input_tokens=5)
    elif sign == "file":
        uploads.start_upload(execution, actor=actor, area="in", path="a", size=1, lease=1)
    else:
        actions.heartbeat(execution, actor=actor, lease=1)

    assert leases.lapsed_leases() == []


def test_organizations_with_lapsed_leases_take_turns(organization, other_organization, monkeypatch):
    monkeypatch.setattr(leases, "BATCH", 3)
    past = timezone.now() - timedelta(hours=1)
    for each, lost in ((organization, 5), (other_organization, 2)):
        for place in range(lost):
            at = past + timedelta(seconds=place)
            make_execution(each, RUNNING, lease_generation=1, lease_seconds=9, lease_expires_at=at)

    found = leases.lapsed_leases()

    ids = [organization_id for organization_id, _ in found]
    both = {organization.pk, other_organization.pk}
    assert [set(ids[:2]), set(ids[2:4]), ids[4:]] == [both, both, [organization.pk]]
    with organization_scope(organization):
        oldest = Execution.objects.order_by("lease_expires_at").values_list("pk", flat=True)[:3]
        assert [pk for owner, pk in found if owner == organization.pk] == list(oldest)


def test_all_organizations_of_one_founder_have_one_turn(organization: Organization):
    eve = make_user()
    places = [organization, *(make_organization(created_by=eve) for _ in range(3))]
    past = timezone.now() - timedelta(hours=1)
    for each in places:
        if each != organization:
            make_membership(each, "owner", user=eve)
        for _ in range(2):
            make_execution(
                each, RUNNING, lease_generation=1, lease_seconds=9, lease_expires_at=past
            )

    ids = [organization_id for organization_id, _ in leases.lapsed_leases()]

    first, second = (place for place, each in enumerate(ids) if each == organization.pk)
    assert (first in {0, 1}, second in {2, 3}) == (True, True)
    rest = [each for each in ids if each != organization.pk]
    assert len(set(rest[:3])) == 3, "the organizations of one share take turns as well"


@pytest.mark.parametrize("days", [-1, 1])
@pytest.mark.parametrize("sign", ["report", "append", "heartbeat"])
def test_a_wrong_clock_of_a_process_neither_ends_nor_prolongs_a_lease(
    actor, sign, days, time_machine
):
    execution = leased(actor)
    real = timezone.now()
    if sign != "report":
        lapse(execution)

    time_machine.move_to(real + timedelta(days=days))
    if sign == "report":
        execution = actions.report_execution(actor=actor, lease_seconds=60)[0]
    elif sign == "append":
        actions.append(execution, LINE, actor=actor, lease=1)
    else:
        actions.heartbeat(execution, actor=actor, lease=1)

    assert runner.reap() == 0
    execution.refresh_from_db()
    assert real < execution.lease_expires_at < real + timedelta(minutes=5)


def test_the_end_ends_the_lease(actor):
    execution = leased(actor)

    ended = actions.finish(execution, actor=actor, status="finished", lease=1)

    assert ended.lease_expires_at is None
    with pytest.raises(ExecutionHasEnded):
        actions.heartbeat(execution, actor=actor, lease=1)


def test_one_call_finds_lapsed_leases_of_all_organizations(
    organization: Organization, other_organization: Organization
):
    past = timezone.now() - timedelta(seconds=1)
    lost = {
        (each.pk, make_execution(each, [("running", 0)], lease_expires_at=past).pk)
        for each in (organization, other_organization)
    }
    make_execution(organization, [("running", 0)])
    make_execution(
        organization, [("running", 0)], lease_expires_at=timezone.now() + timedelta(minutes=1)
    )

    assert set(leases.lapsed_leases()) == lost
    assert current_organization_id() is None
    with organization_scope(organization):
        assert set(leases.lapsed_leases()) == lost
        assert current_organization_id() == organization.pk
