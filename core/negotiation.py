from collections.abc import Iterable
from typing import Any

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class LenientContentNegotiation(DefaultContentNegotiation):
    """Answers with JSON instead of a 406 if a caller accepts none of our media types."""

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> Any:
        try:
            return super().select_renderer(request, list(renderers), format_suffix)
        except NotAcceptable:
            renderer = next(iter(renderers))
            return renderer, renderer.media_type
