"""The agents of the month on the overview, each with what is wrong with it."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from agents.models import Agent
from analytics.findings.finding import Finding
from analytics.findings.words import day_text, percent_text, times_text
from analytics.periods import Period
from analytics.queries import AgentCount, AtWork, last_used_by_agent
from core.formatting import counted
from organizations.models import Organization
from pages.charts import shown_finding

SHOWN_AGENTS = 10


def month_summary(month: Period, work: AtWork) -> str:
    shown = min(work.served, SHOWN_AGENTS)
    gone = work.served - work.working
    since = f", {gone:,} of them decommissioned since" if gone else ""
    agents = f"{counted(work.served, 'agents')} that got a token{since}"
    return f"{month.first:%B %Y} so far · {shown} of {agents}"


def agents_of(
    organization: Organization, usage: Sequence[AgentCount], findings: Sequence[Finding]
) -> list[dict[str, Any]]:
    """The month's busiest agents with their shares of all tokens and their worst findings."""
    tokens = sum(agent.count for agent in usage)
    shown = usage[:SHOWN_AGENTS]
    ids = [agent.agent_id for agent in shown]
    names: dict[UUID, Agent] = Agent.objects.for_organization(organization).in_bulk(ids)
    newest = last_used_by_agent(organization, ids)
    worst = worst_by_agent(findings)
    return [
        {
            "agent": names[agent.agent_id],
            "tokens": agent.count,
            "share": 100 * agent.count / tokens,
            "last_at": newest.get(agent.agent_id),
            "finding": worst.get(agent.agent_id),
        }
        for agent in shown
        if agent.agent_id in names
    ]


def worst_by_agent(findings: Iterable[Finding]) -> dict[UUID, dict[str, str]]:
    """The first finding of each agent, in a few words; `findings` begin with the worst."""
    found: dict[UUID, dict[str, str]] = {}
    for each in findings:
        if each.agent_id and each.agent_id not in found:
            found[each.agent_id] = shown_finding(each) | {"words": in_few_words(each)}
    return found


def in_few_words(finding: Finding) -> str:
    numbers, day = finding.numbers, finding.dates[-1]
    match finding.code:
        case "token_spike":
            return f"{times_text(numbers['factor'])} its typical day on {day_text(day)}"
        case "credential_expiring":
            over = "refusedCount" in numbers
            return f"a credential {'expired' if over else 'expires'} on {day_text(day)}"
        case "refusals_rising":
            return f"refused {numbers['refusedCount']:,} times in 7 days"
        case "dominant_agent":
            return f"{percent_text(numbers['share'])} of this month's tokens"
        case "credential_unused":
            return "a credential never used" if numbers["neverUsed"] else "an unused credential"
    return finding.text.rstrip(".")
