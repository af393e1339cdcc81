"""Creating actions that a client may repeat, each with the same answer (idempotency.py)."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from organizations.actors import Actor
from organizations.api import idempotency
from organizations.models import AnsweredRequest


class RepeatableActions(viewsets.GenericViewSet):
    """Answers a request with a known Idempotency-Key without running its action again.

    `initial()` of a subclass calls claim_repetition() when nothing else can refuse the request.
    """

    repeatable: frozenset[str] = frozenset()
    """Creating actions that a client may repeat safely with an Idempotency-Key."""
    kept_fields: dict[str, Collection[str]] = {}
    """For actions whose stored response keeps only these fields. The rest is content, which may be
    large or deleted since; read_anew() reads it again."""
    actor: Actor
    _claimed: AnsweredRequest | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.kept_fields and cls.read_anew is RepeatableActions.read_anew:
            raise ImproperlyConfigured(f"{cls.__name__} has kept_fields and needs read_anew().")

    def claim_repetition(self, request: Request) -> None:
        """Claim the request's key, if it has one, or replace the action by the stored response."""
        claim = idempotency.claim(request, self.actor) if self.action in self.repeatable else None
        if claim is None:
            return
        stored, is_new = claim
        if is_new:
            self._claimed = stored
        else:  # replace the action, as the router assigns actions to methods
            setattr(self, str(request.method).lower(), lambda *_, **__: self._replay(stored))

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        if self._claimed is not None:
            idempotency.remember(self._claimed, response, self.kept_fields.get(self.action))
        return super().finalize_response(request, response, *args, **kwargs)

    def _replay(self, stored: AnsweredRequest) -> Response:
        is_whole = self.action not in self.kept_fields
        return idempotency.replay(stored, None if is_whole else self.read_anew)

    def read_anew(self, kept: dict[str, Any]) -> Any:
        """The response body as it is now, given its stored fields."""
        raise NotImplementedError
