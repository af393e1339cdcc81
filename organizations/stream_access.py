"""Checks whether the readers of streams and long responses still have access: for all streams at
once, and between the pieces of a response."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection

from organizations.actors import Actor, Scope
from organizations.tenancy.shares import share_of

STREAM = (Scope.EXECUTIONS_READ.value,)


@dataclass(frozen=True)
class Viewer:
    """The access that a request proved when it began.

    Equal for all streams of one token or session.
    """

    kind: str
    """`agent` or `person` for a token, `page` for a person's browser session."""
    organization: UUID
    principal: UUID
    role: str = ""
    credential: UUID | None = None
    session: UUID | None = None
    token: UUID | None = None
    kid: str | None = None
    """The id of the key that signed the token."""
    page_session: str | None = None
    valid_from: datetime | None = None
    issued: datetime | None = None
    """When the token was issued."""
    generation: int | None = None
    """The generation of tokens that the token belongs to."""
    expires_at: float | None = None
    """When the token expires, in Unix seconds."""
    scopes: tuple[str, ...] = STREAM
    """The scopes that an agent needs. For a person, the role decides."""
    shared: UUID | None = field(default=None, compare=False)
    """See `share`."""

    @classmethod
    def of_request(
        cls, actor: Actor, credentials: Any, scopes: tuple[str, ...] = STREAM
    ) -> "Viewer":
        """The viewer of an authenticated request; `credentials` is its `auth`."""
        if actor.id is None:
            raise ValueError("The system makes no requests.")
        page_session: str | None = getattr(credentials, "session_key", None)
        expires_at: datetime | None = getattr(credentials, "expires_at", None)
        return cls(
            kind="page" if page_session else actor.kind,
            organization=actor.organization.pk,
            principal=actor.id,
            role=actor.role,
            credential=actor.credential_id,
            session=actor.session_id,
            token=actor.token_id,
            kid=getattr(credentials, "kid", None),
            page_session=page_session,
            valid_from=actor.user.sessions_valid_from if actor.user else None,
            issued=getattr(credentials, "issued_at", None),
            generation=getattr(credentials, "generation", None),
            expires_at=expires_at.timestamp() if expires_at else None,
            scopes=scopes,
            shared=share_of(actor.organization.pk),
        )

    @property
    def share(self) -> UUID:
        """Whose share of streams and turns it takes (tenancy/shares.py). It stays the same as long
        as the viewer is counted."""
        return self.shared or self.organization

    @property
    def seconds_left(self) -> float:
        """Seconds until the token expires."""
        return float("inf") if self.expires_at is None else self.expires_at - time.time()

    @cached_property
    def members(self) -> str:
        """The fields as members of a JSON object, cached because every poll sends them."""
        sent = {name: value for name, value in vars(self).items() if name != "shared"}
        return json.dumps(sent, default=str)[1:-1]


def has_ended(viewer: Viewer) -> bool:
    """Whether the viewer has lost access. One statement, outside of a transaction.

    The function belongs to the app `tokens`, which is above this one (tokens/sql).
    """
    if viewer.seconds_left <= 0:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM tokens_ended_viewers(%s)", [as_json([viewer])])
        return cursor.fetchone() is not None


def as_json(viewers: Sequence[Viewer]) -> str:
    """The argument of tokens_ended_viewers(), which returns positions in this sequence."""
    each = (f'{{"number": {place}, {viewer.members}}}' for place, viewer in enumerate(viewers))
    return f"[{', '.join(each)}]"
