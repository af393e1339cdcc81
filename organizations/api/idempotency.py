"""`Idempotency-Key`: lets a client repeat a creating request whose response was lost.

Implements the IETF draft httpapi-idempotency-key. The key is stored in the transaction that creates
the object, so a refused request leaves none, and a repetition during the first request waits for
it. A response is stored without its secret; one with content is stored only as a reference to it,
because stored responses do not count against the organization's storage and outlive deleted
content.
"""

import hashlib
import json
import random
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from core.database_clock import ago
from core.errors import DomainError, InvalidValue
from core.renderers import JSONRenderer
from organizations.actors import Actor
from organizations.models import AnsweredRequest, Organization

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
MAX_LENGTH = 255
KEPT_FOR = timedelta(days=1)
"""Keys are remembered at least this long, while they are among the caller's newest."""
MAX_KEYS_PER_CALLER = 100_000
"""So many of a caller's keys are remembered, and some more until the next clearing: a heartbeat
with a key of its own stores nothing else that would be limited."""
KEYS_BETWEEN_CLEARINGS = 500
"""On average, since a clearing reads all keys of the caller."""


class KeyReused(DomainError):
    code = "IDEMPOTENCY_KEY_REUSED"
    status = 422
    message = (
        f"The {HEADER} was used for a different request before. Use a new key for a new request."
    )


class SecretWasShown(DomainError):
    """`details` are the original response without its secret."""

    code = "SECRET_SHOWN_ONCE"
    message = (
        "This was done already. Its response showed a secret, which is shown only "
        "once and not stored."
    )


class ResponseWithSecret(Response):
    """A response that cannot be repeated, because its field `secret_field` is shown only once."""

    def __init__(self, data: Any, *, secret_field: str, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.secret_field = secret_field


def claim(request: Request, actor: Actor) -> tuple[AnsweredRequest, bool] | None:
    """The stored request for this key, and whether it is new. None if the request has no key."""
    text = request.headers.get(HEADER)
    if text is None or actor.id is None:
        return None
    stored, is_new = store(actor.organization, actor.id, _key(text), _digest(request))
    if not is_new and bytes(stored.digest) != _digest(request):
        raise KeyReused
    return stored, is_new


def store(
    organization: Organization, principal_id: UUID, key: str, digest: bytes
) -> tuple[AnsweredRequest, bool]:
    """The stored request of this caller for this key, and whether it is new."""
    stored, is_new = AnsweredRequest.objects.get_or_create(
        organization=organization,
        principal_id=principal_id,
        key=key,
        defaults={"digest": digest},
    )
    if is_new and random.randrange(KEYS_BETWEEN_CLEARINGS) == 0:  # noqa: S311 - nobody gains by guessing
        _forget_oldest(organization, principal_id)
    return stored, is_new


def _forget_oldest(organization: Organization, principal_id: UUID) -> None:
    """Forget the caller's keys beyond the newest ones, but none that a request holds."""
    theirs = AnsweredRequest.objects.filter(organization=organization, principal_id=principal_id)
    beyond = theirs.order_by("-created_at", "-pk").values("pk")[MAX_KEYS_PER_CALLER:]
    free = AnsweredRequest.objects.filter(pk__in=beyond).select_for_update(skip_locked=True)
    theirs.filter(
        pk__in=list(free.values_list("pk", flat=True)[: 4 * KEYS_BETWEEN_CLEARINGS])
    ).delete()


def remember(
    claimed: AnsweredRequest, response: Response, fields: Collection[str] | None = None
) -> None:
    """Store the response, or only these fields of it, for repetitions. A refusal is not stored,
    since the request may succeed later."""
    if connection.needs_rollback:
        return
    if response.status_code >= 400:
        claimed.delete()
        return
    data = response.data
    if isinstance(response, ResponseWithSecret):
        claimed.secret_field = response.secret_field
        data = {name: value for name, value in data.items() if name != response.secret_field}
    if fields is not None:
        data = {name: data[name] for name in fields}
    claimed.status, claimed.body = response.status_code, JSONRenderer().render(data).decode()
    claimed.save(update_fields=["status", "body", "secret_field"])


def replay(stored: AnsweredRequest, read_anew: Callable[[Any], Any] | None = None) -> Response:
    """The original response, or the one that `read_anew` makes of its stored fields. Raise
    SecretWasShown if it had a secret."""
    data: Any = json.loads(stored.body) if stored.body else None
    if stored.secret_field:
        raise SecretWasShown(**data)
    if read_anew is not None:
        data = read_anew(data)
    return Response(data, status=stored.status, headers={REPLAYED: "true"})


def expired_requests() -> QuerySet[Any]:
    """Stored requests that are older than KEPT_FOR."""
    return AnsweredRequest.objects.filter(created_at__lt=ago(KEPT_FOR)).order_by("created_at")


def _key(text: str) -> str:
    """The key without quotation marks, which the draft requires and most clients omit."""
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        problem = f"Use 1 to {MAX_LENGTH} printable characters of ASCII, for example a UUID."
        raise InvalidValue.of(HEADER, problem)
    return key


def _digest(request: Request) -> bytes:
    asked = f"{request.method} {request.get_full_path()} {request.content_type}\n".encode()
    body: bytes = request.body
    return hashlib.sha256(asked + body).digest()
