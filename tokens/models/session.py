"""Login sessions of people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from core.ids import uuid7
from core.rules import RowOf, Rule
from organizations.models import User

MAX_SESSION = timedelta(days=30)


class LoginSessionQuerySet(models.QuerySet["LoginSession"]):
    def live(self) -> Self:
        """Sessions that have not ended, are not too old, and began with the current password."""
        return self.filter(
            Rule("tokens_session_is_live", RowOf("created_at"), RowOf("user__is_active"), Now())
        )


class LoginSession(models.Model):
    """A person's API session, from login to logout. It belongs to no tenant."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_sessions")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    sessions_valid_from = models.DateTimeField(
        null=True,
        editable=False,
        help_text="The person's own mark when it began. Another mark there has ended it.",
    )
    ip_address = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=255, blank=True)

    objects = LoginSessionQuerySet.as_manager()

    def __str__(self) -> str:
        return str(self.id)

    def save(self, *args: Any, **options: Any) -> None:
        """Save it. A new session gets the mark that its person has, who is best locked."""
        if self._state.adding:
            self.sessions_valid_from = self.user.sessions_valid_from
        super().save(*args, **options)
