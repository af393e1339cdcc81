"""Serves the OpenAPI document, which is generated once per process."""

import hashlib
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.utils.encoding import force_bytes
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request

CACHE_SECONDS = 300


@dataclass(frozen=True)
class Description:
    content: bytes
    etag: str


@method_decorator(transaction.non_atomic_requests, name="dispatch")
class DescriptionView(SpectacularAPIView):
    """The document as YAML or JSON, by content negotiation.

    It does not depend on the request otherwise.
    """

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        renderer: Any = request.accepted_renderer
        suffix = "json" if "json" in renderer.format else "yaml"
        document = description(suffix)
        charset = renderer.charset and f"; charset={renderer.charset}"
        headers = {
            "Cache-Control": f"public, max-age={CACHE_SECONDS}",
            "Content-Disposition": f'inline; filename="AgentIdP.{suffix}"',
            "ETag": document.etag,
        }
        response = HttpResponse(
            document.content, content_type=f"{renderer.media_type}{charset or ''}", headers=headers
        )
        asked = request._request
        return get_conditional_response(asked, etag=document.etag, response=response) or response


_making = Lock()


def description(suffix: str) -> Description:
    with _making:  # concurrent requests wait for the first one's document
        return _described(suffix)


@cache
def _described(suffix: str) -> Description:
    renderer = next(each() for each in DescriptionView.renderer_classes if suffix in each.format)
    document = SchemaGenerator().get_schema(request=None, public=True)
    content = force_bytes(renderer.render(document, renderer.media_type, {}))
    return Description(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
