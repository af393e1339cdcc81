"""The rollups that analytics reads instead of millions of token events.

Triggers on the token events update the four narrow tables in the transaction of each event;
`manage.py rebuild_rollups` corrects them. docs/decisions/0006-rollups.md explains why these four.
"""

from uuid import UUID

from django.db import models

from organizations.models import Organization, OrganizationScopedQuerySet

NOBODY = UUID(int=0)
"""Stands for the agent or credential of an event that has none."""


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
    """Usage by hour, which is enough for zones with an offset of whole hours."""

    CLOCK, SECONDS = "hour", 3600

    pk = models.CompositePrimaryKey("organization_id", "hour")
    hour = models.IntegerField(help_text="Hours since 1970-01-01 00:00 UTC.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"hour {self.hour}"


class QuarterUsage(Usage):
    """Usage by quarter of an hour, for zones such as those of India and Nepal."""

    CLOCK, SECONDS = "quarter", 900

    pk = models.CompositePrimaryKey("organization_id", "quarter")
    quarter = models.IntegerField(help_text="Quarters of an hour since 1970-01-01 00:00 UTC.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"quarter {self.quarter}"


class AgentDayUsage(Usage):
    """Usage by day (UTC), agent and credential."""

    pk = models.CompositePrimaryKey("organization_id", "day", "agent_id", "credential_id")
    day = models.DateField()
    agent_id = models.UUIDField()
    credential_id = models.UUIDField()
    last_at = models.DateTimeField(help_text="The newest event that is counted here.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.day} {self.agent_id}"


class AgentMonthUsage(Usage):
    """Usage by month (UTC) and agent."""

    pk = models.CompositePrimaryKey("organization_id", "month", "agent_id")
    month = models.DateField(help_text="The first day of the month.")
    agent_id = models.UUIDField()
    last_at = models.DateTimeField(help_text="The newest event that is counted here.")

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.agent_id}"
