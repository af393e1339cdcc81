"""The recent runs, errors and cost of an agent for its page."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from agents.models import Agent
from core.formatting import counted, money
from executions import queries
from executions.filters import Filters
from executions.queries import AgentActivity
from organizations.actors import Actor
from pages.executions.errors import error_of
from pages.executions.listing import row_of
from pages.executions.page_query import ALL_TIME

RUN_DAYS = 30
RUNS_SHOWN = 5
ERRORS_SHOWN = 3


def runs_of(agent: Agent, actor: Actor) -> dict[str, Any]:
    """The newest runs and errors that the actor may see, and a summary of the last 30 days."""
    now = timezone.now()
    own = Filters(agent=agent.pk)
    runs = queries.executions(agent.organization, actor, own)
    since = (now - timedelta(days=RUN_DAYS)).timestamp()
    newest = runs.order_by("-start_time", "-id")[:RUNS_SHOWN]
    errors = queries.errors(agent.organization, actor, own)[:ERRORS_SHOWN]
    query = urlencode({"agent": str(agent.pk), "hours": ALL_TIME})
    return {
        "runs": [row_of(execution, now.timestamp()) for execution in newest],
        "runs_summary": summary_of(queries.agent_activity(agent, actor, since)),
        "runs_link": f"{reverse('executions:list')}?{query}",
        "run_errors": [error_of(error) for error in errors],
        "errors_link": f"{reverse('executions:errors')}?{query}",
    }


def summary_of(found: AgentActivity) -> str:
    if not found.runs:
        return f"None in {RUN_DAYS} days."
    told = f"{counted(found.runs, 'runs')} in {RUN_DAYS} days, {found.failed:,} failed"
    return f"{told}, {money(found.cost)} spent." if found.cost else f"{told}."
