"""What analytics reads instead of millions of token events: four narrow rollups.

A trigger on the token events keeps them exact in the transaction of every event (0002_rollups);
`manage.py rebuild_rollups` makes them anew. Why these four: docs/decisions/0006-rollups.md.
"""

from uuid import UUID

from django.db import models

from organizations.models import Organization, OrganizationScopedQuerySet

NOBODY = UUID(int=0)
"""Stands for the agent or the credential of an event that names none."""


class Usage(models.Model):
    """Token events of an organization, counted by outcome."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    issued = models.PositiveIntegerField()
    refused = models.PositiveIntegerField()
    introspected = models.PositiveIntegerField()
    revoked = models.PositiveIntegerField()

    class Meta:
        abstract = True


class HourUsage(Usage):
    """By hour: zones that differ from UTC by whole hours need nothing finer."""

    CLOCK, SECONDS = "hour", 3600

    pk = models.CompositePrimaryKey("organization_id", "hour")
    hour = models.IntegerField(help_text="Hours since 1970-01-01 00:00 UTC.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"hour {self.hour}"


class QuarterUsage(Usage):
    """By quarter of an hour, for the zones of India, Nepal and their like."""

    CLOCK, SECONDS = "quarter", 900

    pk = models.CompositePrimaryKey("organization_id", "quarter")
    quarter = models.IntegerField(help_text="Quarters of an hour since 1970-01-01 00:00 UTC.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"quarter {self.quarter}"


class AgentDayUsage(Usage):
    """By day (UTC), agent and credential."""

    pk = models.CompositePrimaryKey("organization_id", "day", "agent_id", "credential_id")
    day = models.DateField()
    agent_id = models.UUIDField()
    credential_id = models.UUIDField()
    last_at = models.DateTimeField(help_text="The newest of the events counted here.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.day} {self.agent_id}"


class AgentMonthUsage(Usage):
    """By month (UTC) and agent."""

    pk = models.CompositePrimaryKey("organization_id", "month", "agent_id")
    month = models.DateField(help_text="Its first day.")
    agent_id = models.UUIDField()
    last_at = models.DateTimeField(help_text="The newest of the events counted here.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.agent_id}"
