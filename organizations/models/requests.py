"""Attempt counters and answered requests."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

from organizations.models.scoped import OrganizationScopedModel, OrganizationScopedQuerySet


class Attempt(models.Model):
    """The attempts under a hashed key within a window (throttling.py). The table is unlogged."""

    key = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    ends_at = models.DateTimeField(
        db_default=Now() + timedelta(days=1),
        help_text="When the window is over. Nothing counts from then on, and the row is deleted.",
    )
    attempts = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["ends_at"], name="organizations_attempt_ends")]

    def __str__(self) -> str:
        return self.key[:8]


class AnsweredRequest(OrganizationScopedModel):
    """A request with an Idempotency-Key and its response (api/idempotency.py)."""

    principal_id = models.UUIDField(
        help_text="The caller. Keys of different callers never collide."
    )
    key = models.CharField(max_length=255)
    digest = models.BinaryField(max_length=32, help_text="The hash of the request.")
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(
        blank=True, help_text="The JSON response, without the secret that it showed."
    )
    secret_field = models.CharField(
        max_length=64, blank=True, help_text="The field in which the response showed a secret."
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
