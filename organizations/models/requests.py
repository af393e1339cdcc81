"""Attempt counters and answered requests."""

from __future__ import annotations

from django.db import models

from organizations.models.scoped import OrganizationScopedModel, OrganizationScopedQuerySet


class Attempt(models.Model):
    """The attempts under a hashed key within a window (throttling.py). The table is unlogged."""

    key = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    attempts = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.key[:8]


class AnsweredRequest(OrganizationScopedModel):
    """A request with an Idempotency-Key and its response (api/idempotency.py)."""

    principal_id = models.UUIDField(help_text="Who asked. Another one's keys are other keys.")
    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32, help_text="Of what was asked.")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True, help_text="JSON, without the secret that it showed.")
    secret_field = models.CharField(
        max_length=64, blank=True, help_text="The field of the secret that the answer showed."
    )

    objects = OrganizationScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "principal_id", "key"],
                name="organizations_answeredrequest_unique",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "created_at"], name="organizations_answered_age"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.created_at:%Y-%m-%d %H:%M}"
