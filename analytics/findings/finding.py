from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from analytics.models.snooze import FindingSnooze

OF_A_DAY = ("token_spike", "silent_day", "credential_expiring")
"""The codes of findings that are others on other days."""


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
    short: str = ""
    """A few words for a table, in which the subject has a column of its own."""
    exact_kind: str = ""
    snooze: FindingSnooze | None = None
    """Why it is not among the findings that are shown, and until when."""

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return self.exact_kind or self.code

    @property
    def day(self) -> date | None:
        """The day by which it is known; the last one, because a silence grows."""
        return self.dates[-1] if self.code in OF_A_DAY else None

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
