"""The strip of figures on an agent's page. Days are those of UTC, as in the rollups."""

from urllib.parse import urlencode

from django.urls import reverse

from agents.models import Agent
from pages.figures import Links, Strip


def links_of(agent: Agent, strip: Strip) -> Links:
    """The agent's requests and runs in the days of the strip."""
    requests = f"{reverse('tokens:list')}?" + urlencode(
        {"agent": agent.pk, "days": strip.length, "tz": "UTC"}
    )
    window = {"agent": agent.pk, "from": strip.first.isoformat(), "tz": "UTC"}
    runs = f"{reverse('executions:list')}?{urlencode(window)}"
    return Links(
        issued=f"{requests}&outcome=issued",
        refused=f"{requests}&outcome=refused",
        runs=runs,
        failed=f"{runs}&status=error",
        cost=f"{runs}&sort=-cost",
    )


def period_of(agent: Agent, strip: Strip) -> str:
    compared = strip.comparison(agent.created_at.date())
    return f"The last {strip.length} days (UTC), today included{compared}."
