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
"""The codes, in the order in which findings of equal severity are listed."""


@dataclass(frozen=True)
class Finding:
    """A noteworthy fact. `subject` and `text` form a sentence; `detail` explains what it may
    mean.
    """

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
    """Filters for the token requests behind the finding; without them it links to the agent's
    page.
    """

    @property
    def link(self) -> str:
        """The page with the rows behind the finding."""
        if self.rows:
            return f"{reverse('tokens:list')}?{urlencode({**self.rows, 'finding': self.code})}"
        return reverse("agents:detail", args=[self.agent_id])

    @property
    def message(self) -> str:
        return f"{self.subject} {self.text}".strip()

    @property
    def agent_name(self) -> str:
        return self.subject if self.agent_id else ""
