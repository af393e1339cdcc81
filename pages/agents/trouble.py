"""The order of the list of agents in which those with findings come first."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import F, Func, IntegerField, UUIDField, Value
from django.db.models.functions import Coalesce

from agents.models import AgentQuerySet
from analytics.findings.finding import Finding
from core.keyset import Keyset, Term
from pages.charts import day_notes, shown_finding

AGENTS_IN_FRONT = 100
"""Two pages; their ids fit into the cursor of each page that follows."""
MESSAGES_IN_TITLE = 3
ID_LENGTH = 16
AND_MORE = "+"


@dataclass(frozen=True)
class Front:
    """The agents that come first, the one with the worst finding before the others."""

    agents: tuple[UUID, ...]
    is_all: bool
    """Whether no other agent had a finding."""

    @classmethod
    def of(cls, findings: Sequence[Finding], number: int) -> Self:
        """From the worst of so many findings."""
        agents = tuple(dict.fromkeys(each.agent_id for each in findings if each.agent_id))
        is_all = number == len(findings) and len(agents) <= AGENTS_IN_FRONT
        return cls(agents[:AGENTS_IN_FRONT], is_all)

    @classmethod
    def pinned(cls, text: str) -> Self:
        """That of the first page, so that no row moves while one reads on, whatever becomes of the
        findings.
        """
        ids = urlsafe_b64decode(text.removesuffix(AND_MORE))
        places = range(0, len(ids), ID_LENGTH)
        agents = tuple(UUID(bytes=ids[place : place + ID_LENGTH]) for place in places)
        return cls(agents, is_all=not text.endswith(AND_MORE))

    @property
    def text(self) -> str:
        ids = urlsafe_b64encode(b"".join(agent.bytes for agent in self.agents)).decode()
        return ids if self.is_all else ids + AND_MORE

    def ranked(self, rows: AgentQuerySet) -> AgentQuerySet:
        """The rows with `trouble`, the place of each, for keyset_of()."""
        front = Value(list(self.agents), output_field=ArrayField(UUIDField()))
        place = Func(front, F("pk"), function="array_position", output_field=IntegerField())
        return rows.annotate(trouble=Coalesce(place, Value(len(self.agents) + 1)))


def keyset_of(sort: str) -> Keyset:
    """By trouble; ties are ordered by address."""
    by = Term("trouble", is_descending=sort.startswith("-"))
    return Keyset((by, Term("email"), Term("pk")))


@dataclass(frozen=True)
class Trouble:
    """What the row of an agent says about its findings."""

    severity: str
    text: str
    title: str
    url: str
    days: frozenset[date]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Self:
        worst, *others = findings
        more = f", and {len(others):,} more" if others else ""
        return cls(
            worst.severity,
            f"{worst.short}{more}",
            " ".join(each.message for each in findings[:MESSAGES_IN_TITLE]),
            shown_finding(worst)["url"],
            frozenset(day_notes(findings)),
        )


def by_agent(findings: Sequence[Finding]) -> dict[UUID, list[Finding]]:
    grouped: dict[UUID, list[Finding]] = {}
    for finding in findings:
        if finding.agent_id:
            grouped.setdefault(finding.agent_id, []).append(finding)
    return grouped


def troubles_of(findings: Sequence[Finding]) -> dict[UUID, Trouble]:
    return {agent: Trouble.of(found) for agent, found in by_agent(findings).items()}


def sparks_of(
    days: Sequence[date], issued: dict[UUID, dict[date, int]], troubles: dict[UUID, Trouble]
) -> dict[UUID, list[dict[str, Any]]]:
    """A bar for each day; the days of findings are marked, and today is not over."""
    return {
        agent: [
            {
                "count": counts.get(day, 0),
                "partial": day == days[-1],
                "flagged": agent in troubles and day in troubles[agent].days,
            }
            for day in days
        ]
        for agent, counts in issued.items()
    }
