"""`Idempotency-Key`: a request that makes something may be sent again after a lost answer.

As the IETF draft httpapi-idempotency-key says. The key is stored in the transaction that makes the
thing, so a refused request leaves none, and one that arrives while the first is under way waits
for it. An answer that showed a secret is kept without it, and of one that shows content only where
to find it: what is kept counts nowhere against the organization's storage, and stays when the
content is deleted.
"""

import hashlib
import json
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from core.errors import DomainError, InvalidValue
from core.renderers import JSONRenderer
from organizations.actors import Actor
from organizations.models import AnsweredRequest

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
MAX_LENGTH = 255
KEPT_FOR = timedelta(days=1)
"""At least so long a key is known."""


class KeyReused(DomainError):
    code = "IDEMPOTENCY_KEY_REUSED"
    status = 422
    message = f"The {HEADER} came with another request before. Use a new key for a new request."


class SecretWasShown(DomainError):
    """`details` are the answer of then, without its secret."""

    code = "SECRET_SHOWN_ONCE"
    message = "This was done already. Its answer showed a secret, which is shown once and not kept."


class AnswerWithSecret(Response):
    """An answer that is not given again: one field of it, `secret_field`, is shown this once."""

    def __init__(self, data: Any, *, secret_field: str, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.secret_field = secret_field


def claim(request: Request, actor: Actor) -> tuple[AnsweredRequest, bool] | None:
    """What is known under the request's key, and whether that is new; None without a key."""
    text = request.headers.get(HEADER)
    if text is None or actor.id is None:
        return None
    known, is_new = AnsweredRequest.objects.get_or_create(
        organization=actor.organization,
        principal_id=actor.id,
        key=_key(text),
        defaults={"digest": _digest(request)},
    )
    if not is_new and bytes(known.digest) != _digest(request):
        raise KeyReused
    return known, is_new


def remember(
    claimed: AnsweredRequest, response: Response, fields: Collection[str] | None = None
) -> None:
    """Keep the answer, or these fields of it, to give it again. Of a refusal nothing is kept: it
    may succeed later."""
    if connection.needs_rollback:
        return
    if response.status_code >= 400:
        claimed.delete()
        return
    data = response.data
    if isinstance(response, AnswerWithSecret):
        claimed.secret_field = response.secret_field
        data = {name: value for name, value in data.items() if name != response.secret_field}
    if fields is not None:
        data = {name: data[name] for name in fields}
    claimed.status, claimed.body = response.status_code, JSONRenderer().render(data).decode()
    claimed.save(update_fields=["status", "body", "secret_field"])


def answer_again(known: AnsweredRequest, read_anew: Callable[[Any], Any] | None = None) -> Response:
    """The answer of then, or what `read_anew` makes of the fields that were kept of it.
    SecretWasShown when it held a secret."""
    data: Any = json.loads(known.body) if known.body else None
    if known.secret_field:
        raise SecretWasShown(**data)
    if read_anew is not None:
        data = read_anew(data)
    return Response(data, status=known.status, headers={REPLAYED: "true"})


def forgotten() -> QuerySet[Any]:
    """What need not be kept any longer."""
    return AnsweredRequest.objects.filter(created_at__lt=timezone.now() - KEPT_FOR)


def _key(text: str) -> str:
    """The key, which the draft writes in quotation marks and most clients without."""
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        problem = f"Use 1 to {MAX_LENGTH} printable characters of ASCII, for example a UUID."
        raise InvalidValue.of(HEADER, problem)
    return key


def _digest(request: Request) -> bytes:
    asked = f"{request.method} {request.get_full_path()} {request.content_type}\n".encode()
    body: bytes = request.body
    return hashlib.sha256(asked + body).digest()
