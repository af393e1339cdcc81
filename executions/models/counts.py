"""How many executions have ended, and how many errors they reported, counted by what statistics ask
for.

Triggers keep the numbers exact in the transaction that ends, changes or deletes an execution: they
write changes, which are added up now and then, so that no writer waits for another. The numbers
are the sums over a table and the changes; docs/decisions/0006-rollups.md explains why. Executions
that are live are few and change often, so they are counted when somebody asks. Errors are counted
while their execution is there.
"""

from __future__ import annotations

from uuid import UUID

from django.db import models

from core.text import NormalizedCharField
from organizations.models import Organization, OrganizationScopedQuerySet

NOBODY = UUID(int=0)
"""Stands for the person or agent of an execution that has none."""


class EndedExecutions(models.Model):
    """Ended executions by status, person and agent."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    status = models.CharField(max_length=16)
    user_id = models.UUIDField(help_text="The ExecutionUser, or zeros.")
    agent_id = models.UUIDField(help_text="The agent, or zeros.")
    agent_name = NormalizedCharField(max_length=255)
    executions = models.BigIntegerField()
    timed = models.BigIntegerField(help_text="Those with a runtime.")
    elapsed = models.DecimalField(
        max_digits=40, decimal_places=12, help_text="Their seconds, waiting included."
    )

    class Meta:
        abstract = True


class EndedCount(EndedExecutions):
    """The changes that were added up."""

    pk = models.CompositePrimaryKey(
        "organization_id", "status", "user_id", "agent_id", "agent_name"
    )

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.executions} {self.status} of {self.agent_name}"


class EndedChange(EndedExecutions):
    """By how much one change raised or lowered the numbers, and what else it counts in."""

    number = models.BigAutoField(primary_key=True)
    start_quarter = models.IntegerField(
        null=True,
        help_text="Quarters of an hour since 1970 until the start; "
        "null in changes that an earlier release wrote.",
    )
    last_day = models.IntegerField(
        null=True, help_text="Days since 1970 until the start or the end, whichever was later."
    )
    runtime_bin = models.SmallIntegerField(null=True, help_text="As the execution's.")
    cost = models.DecimalField(max_digits=40, decimal_places=8, default=0, db_default=0)

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "number"], name="executions_ended_change")]

    def __str__(self) -> str:
        return f"{self.executions:+} {self.status} of {self.agent_name}"


class EndedInTime(models.Model):
    """Ended executions of a span of time by one property; executions_spans() has which.

    Combinations of properties would be as many as the executions.
    """

    pk = models.CompositePrimaryKey(
        "organization_id", "clock", "seconds", "property", "place", "value"
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    clock = models.CharField(
        max_length=8,
        blank=True,
        help_text="`start`, or `last` for the start or the end, whichever was later.",
    )
    seconds = models.IntegerField(help_text="The length of the span; 0 for all time.")
    property = models.CharField(
        max_length=8, help_text="`status`, `user`, `agent`, `agent_id` or `runtime`."
    )
    place = models.IntegerField(help_text="Spans since 1970.")
    value = NormalizedCharField(
        max_length=255, blank=True, help_text="The property's, as in EndedCount."
    )
    executions = models.BigIntegerField()
    timed = models.BigIntegerField(help_text="Those with a runtime.")
    elapsed = models.DecimalField(
        max_digits=40, decimal_places=12, help_text="Their seconds, waiting included."
    )
    failed = models.BigIntegerField()
    cost = models.DecimalField(max_digits=40, decimal_places=8)

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.executions} of {self.property} {self.value}"


class ErrorChange(models.Model):
    """By how much one change raised or lowered the number of errors."""

    number = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    fingerprint = models.CharField(max_length=40)
    day = models.IntegerField(help_text="Days (UTC) since 1970.")
    user_id = models.UUIDField(help_text="The ExecutionUser of the execution, or zeros.")
    agent_name = NormalizedCharField(max_length=255)
    errors = models.BigIntegerField()

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "number"], name="executions_error_change")]

    def __str__(self) -> str:
        return f"{self.errors:+} of {self.fingerprint}"


class ErrorCount(models.Model):
    """Errors of a group in a span of time by one property; executions_error_spans() has which."""

    pk = models.CompositePrimaryKey(
        "organization_id", "seconds", "property", "place", "fingerprint", "value"
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    seconds = models.IntegerField(help_text="The length of the span; 0 for all time.")
    property = models.CharField(max_length=8, help_text="`all`, `user` or `agent`.")
    place = models.IntegerField(help_text="Spans (UTC) since 1970.")
    fingerprint = models.CharField(max_length=40)
    value = NormalizedCharField(
        max_length=255, blank=True, help_text="The property's, as in ErrorChange."
    )
    errors = models.BigIntegerField()

    objects = OrganizationScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.errors} of {self.fingerprint}"
