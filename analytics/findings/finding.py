from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

BAD, WARN = "bad", "warn"
CODES = (
    "token_spike",
    "silent_day",
    "credential_expiring",
    "refusals_rising",
    "dominant_agent",
    "credential_unused",
)
"""In the order in which findings of one severity are named."""


@dataclass(frozen=True)
class Finding:
    """`subject` and `text` make the sentence, `detail` says what it may mean."""

    code: str
    severity: str
    subject: str
    text: str
    detail: str = ""
    agent_id: UUID | None = None
    credential_id: UUID | None = None
    secret_hint: str = ""
    dates: tuple[date, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, object] = field(default_factory=dict)
    """Filters that show the token requests behind it; without them its agent's page does."""

    @property
    def link(self) -> str:
        """The page with the rows behind it."""
        if self.rows:
            return f"{reverse('tokens:list')}?{urlencode(self.rows)}"
        return reverse("agents:detail", args=[self.agent_id])

    @property
    def message(self) -> str:
        return f"{self.subject} {self.text}".strip()

    @property
    def agent_name(self) -> str:
        return self.subject if self.agent_id else ""
