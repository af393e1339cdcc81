"""Which findings are snoozed, and since when they no longer are.

A snooze hides the finding that a person saw, not what follows: another day, another credential and
another code are other findings, and one that has become urgent is shown again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self
from uuid import UUID

from analytics.findings.codes import BAD
from analytics.findings.finding import Finding
from analytics.models import FindingSnooze
from organizations.models import Organization

UNUSED = "credential_unused"
Key = tuple[str, UUID | None, UUID | None]


@dataclass(frozen=True)
class Snoozes:
    """Those of an organization that are in force."""

    by_key: dict[Key, list[FindingSnooze]]

    @classmethod
    def of(cls, organization: Organization) -> Self:
        rows = FindingSnooze.objects.for_organization(organization).in_force()
        by_key: dict[Key, list[FindingSnooze]] = defaultdict(list)
        for row in rows.select_related("snoozed_by"):
            by_key[row.kind, row.agent_id, row.credential_id].append(row)
        return cls(by_key)

    @property
    def unused_credentials(self) -> list[UUID]:
        return [credential for kind, _, credential in self.by_key if credential and kind == UNUSED]

    def hiding(self, finding: Finding) -> FindingSnooze | None:
        rows = self.by_key.get((finding.kind, finding.agent_id, finding.credential_id), ())
        return next((row for row in rows if is_about(row, finding)), None)

    def marked(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        if not self.by_key:
            return tuple(findings)
        return tuple(replace(each, snooze=self.hiding(each)) for each in findings)


def is_about(snooze: FindingSnooze, finding: Finding) -> bool:
    """For a snooze of the same kind, agent and credential."""
    is_same = finding.day is None or snooze.day in finding.dates
    return is_same and (finding.severity != BAD or snooze.severity == BAD)


def apart(findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """The findings to show, and the snoozed ones."""
    return (
        tuple(each for each in findings if each.snooze is None),
        tuple(each for each in findings if each.snooze is not None),
    )
