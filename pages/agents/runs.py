"""The newest runs of an agent and the groups of their errors, for its page."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from agents.models import Agent
from core.days import day_end, day_start
from core.formatting import counted, percent
from executions import queries
from executions.filters import Filters
from executions.queries import GroupTotal, RunDay
from organizations.actors import Actor
from pages.agents.credential_usage import DAYS
from pages.executions.errors import fewer_bars
from pages.executions.listing import row_of
from pages.executions.page_query import ALL_TIME, to_datetime
from pages.figures import Strip

RUNS_SHOWN = 8
GROUPS_SHOWN = 3


def runs_of(
    agent: Agent, actor: Actor, days: Mapping[date, RunDay], strip: Strip, now: datetime
) -> dict[str, Any]:
    """The newest runs that the actor may see, and the groups of the errors of the strip's days."""
    newest = queries.executions(agent.organization, actor, Filters(agent=(agent.pk,)))
    rows = [row_of(each, now.timestamp()) for each in newest[:RUNS_SHOWN]]
    query = urlencode({"agent": str(agent.pk), "hours": ALL_TIME})
    return {
        "runs": rows,
        "has_cost": any(row["execution"].cost is not None for row in rows),
        "runs_summary": summary_of(days, strip),
        "runs_link": f"{reverse('executions:list')}?{query}",
        **errors_of(agent, actor, strip),
    }


def summary_of(days: Mapping[date, RunDay], strip: Strip) -> str:
    runs = sum(days[day].runs for day in strip.days if day in days)
    failed = sum(days[day].failed for day in strip.days if day in days)
    if not runs:
        return f"None in {DAYS} days."
    share = f", {failed:,} failed ({percent(100 * failed / runs)})" if failed else ", none failed"
    return f"{counted(runs, 'runs')} in {DAYS} days{share}."


def errors_of(agent: Agent, actor: Actor, strip: Strip) -> dict[str, Any]:
    """The groups with most of this agent's errors, each beside what all agents have in it."""
    everyone = Filters(
        start=day_start(strip.first, UTC).timestamp(), end=day_end(strip.today, UTC).timestamp()
    )
    own = replace(everyone, agent=(agent.pk,))
    found = queries.error_groups(
        agent.organization, actor, own, order="largest", limit=GROUPS_SHOWN
    )
    totals = (
        queries.group_totals(
            agent.organization, actor, everyone, [group.fingerprint for group in found.rows]
        )
        if found.rows
        else {}
    )
    window = {"from": strip.first.isoformat(), "tz": "UTC"}
    address = f"{reverse('executions:errors')}?"
    query = urlencode({"agent": str(agent.pk), **window})
    return {
        "groups": [
            {
                "group": group,
                "share": share_of(group.count, totals.get(group.fingerprint)),
                "last_at": to_datetime(group.last_seen),
                "first_at": to_datetime(group.first_seen),
                "spark": fewer_bars(group.sparkline),
                "url": f"{address}{urlencode({'group': group.fingerprint, **window})}",
            }
            for group in found.rows
        ],
        "errors_link": f"{address}{query}",
        "errors_summary": f"{counted(found.total, 'groups')} in {DAYS} days, the largest first."
        if found.total > 1
        else "",
    }


def share_of(count: int, total: GroupTotal | None) -> str:
    """How much of the group is this agent's."""
    if total is None or total.agents <= 1:
        return "only this agent"
    return f"{count:,} here, {total.errors:,} across {total.agents:,} agents"
