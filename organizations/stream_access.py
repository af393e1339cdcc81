"""Who looks at an open stream or takes a long answer, and whether they still may: asked for all
streams at once, and between the pieces of an answer."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection

from organizations.actors import Actor, Scope

STREAM = (Scope.EXECUTIONS_READ.value,)


@dataclass(frozen=True)
class Viewer:
    """What a request proved when it began. Equal for streams of one token or session."""

    kind: str
    """`agent` or `person` with a token, or `page`: a person's session in a browser."""
    organization: UUID
    principal: UUID
    role: str = ""
    credential: UUID | None = None
    session: UUID | None = None
    token: UUID | None = None
    kid: str | None = None
    """The key that signed the token."""
    page_session: str | None = None
    valid_from: datetime | None = None
    issued: datetime | None = None
    """When its token was."""
    expires_at: float | None = None
    """When a token ends by itself, in Unix seconds."""
    scopes: tuple[str, ...] = STREAM
    """What an agent needs for it. A person's role says the same."""

    @classmethod
    def of_request(
        cls, actor: Actor, credentials: Any, scopes: tuple[str, ...] = STREAM
    ) -> "Viewer":
        """The viewer behind an authenticated request: `credentials` is its `auth`."""
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
            expires_at=expires_at.timestamp() if expires_at else None,
            scopes=scopes,
        )

    @property
    def seconds_left(self) -> float:
        """Until the token ends by itself."""
        return float("inf") if self.expires_at is None else self.expires_at - time.time()

    @cached_property
    def members(self) -> str:
        """Its fields as the members of a JSON object: written once, asked about at every tick."""
        return json.dumps(vars(self), default=str)[1:-1]


def has_ended(viewer: Viewer) -> bool:
    """Whether this one may no longer look; one statement, outside of a transaction.

    The function is that of the tokens' app, which stands above this one (tokens/sql).
    """
    if viewer.seconds_left <= 0:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM tokens_ended_viewers(%s)", [as_json([viewer])])
        return cursor.fetchone() is not None


def as_json(viewers: Sequence[Viewer]) -> str:
    """What tokens_ended_viewers takes: it answers with places in the sequence."""
    each = (f'{{"number": {place}, {viewer.members}}}' for place, viewer in enumerate(viewers))
    return f"[{', '.join(each)}]"
