"""What many agents ran, counted at once, is what each one's days add up to."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from agents.tests.factories import make_agent
from executions.queries import RunDay, agent_days, agent_totals
from executions.tests.ended import add_up
from executions.tests.factories import FAILED, FINISHED, RUNNING, make_execution
from organizations.actors import Actor
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

TODAY = date(2026, 11, 20)
DAYS = [TODAY - timedelta(days=back) for back in reversed(range(3))]


def at(day: date) -> float:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()


def test_totals_are_the_sums_of_each_agents_days(organization: Organization) -> None:
    busy, calm, idle, unasked = (make_agent(organization) for _ in range(4))
    for back, status, cost in ((0, RUNNING, "1"), (1, FAILED, "0.5"), (2, FINISHED, "0.25")):
        start = at(TODAY - timedelta(days=back))
        for agent in (busy, busy, calm, unasked):
            make_execution(organization, status, agent=agent, start=start, cost=Decimal(cost))
    for agent in (busy, idle):  # before the first day
        make_execution(organization, FAILED, agent=agent, start=at(DAYS[0] - timedelta(days=1)))
    actor = Actor.for_person(make_membership(organization, Membership.Role.OPERATOR))
    asked = [busy.pk, calm.pk, idle.pk]

    with organization_scope(organization):
        before = agent_totals(organization, actor, asked, DAYS)
        add_up(organization)
        found = agent_totals(organization, actor, asked, DAYS)
        days = agent_days(busy, actor, DAYS[0])

    assert (
        found
        == before
        == {
            busy.pk: RunDay(6, 2, Decimal("3.5")),
            calm.pk: RunDay(3, 1, Decimal("1.75")),
        }
    )
    assert sum(day.runs for day in days.values()) == 6
    assert sum(day.failed for day in days.values()) == 2
    assert sum(day.cost for day in days.values()) == Decimal("3.5")


def test_there_are_none_for_a_person_who_sees_only_their_own(organization: Organization) -> None:
    agent = make_agent(organization)
    make_execution(organization, FINISHED, agent=agent, start=at(TODAY))
    actor = Actor.for_person(make_membership(organization, Membership.Role.VIEWER))

    with organization_scope(organization):
        assert agent_totals(organization, actor, [agent.pk], DAYS) is None
