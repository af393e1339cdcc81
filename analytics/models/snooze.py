"""Findings that a person expects, and does not want to be told about for a while."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models.functions import Now

from agents.models import Agent
from analytics.findings.codes import BAD, KINDS, WARN
from organizations.models import OrganizationScopedModel, OrganizationScopedQuerySet, User
from tokens.models import Credential

MAX_REASON = 200
MAX_MESSAGE = 300


class FindingSnoozeQuerySet(OrganizationScopedQuerySet):
    def in_force(self) -> Self:
        return self.filter(until__gt=Now())

    def over(self) -> Self:
        return self.filter(until__lte=Now()).order_by()


class FindingSnooze(OrganizationScopedModel):
    """It hides one finding until a time. Ending it earlier deletes the row."""

    kind = models.CharField(max_length=32, choices=[(kind, kind) for kind in KINDS])
    agent = models.ForeignKey(
        Agent,
        on_delete=models.CASCADE,
        null=True,
        db_constraint=False,  # IsolateOrganizations makes one with the organization
        db_index=False,
        related_name="+",
    )
    credential = models.ForeignKey(
        Credential,
        on_delete=models.CASCADE,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    day = models.DateField(null=True, help_text="The day of a finding that is about one, in UTC.")
    severity = models.CharField(
        max_length=8, choices=[(BAD, BAD), (WARN, WARN)], help_text="Of the finding at the time."
    )
    message = models.CharField(max_length=MAX_MESSAGE, help_text="The finding at the time.")
    reason = models.CharField(max_length=MAX_REASON)
    until = models.DateTimeField()
    snoozed_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, db_index=False, related_name="+"
    )

    objects = FindingSnoozeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind", "agent", "credential", "day"],
                nulls_distinct=False,
                name="analytics_findingsnooze_unique",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=KINDS), name="analytics_findingsnooze_kind_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(severity__in=[BAD, WARN]),
                name="analytics_findingsnooze_severity_valid",
            ),
        ]

    def __str__(self) -> str:
        return self.message

    @property
    def who(self) -> str:
        """The person's name, or address if they have none."""
        person = self.snoozed_by
        return str(person.name or person.email) if person else "somebody who has left"
