import re
import uuid

from django.http import HttpRequest

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


def request_id_of(request: HttpRequest) -> str:
    """The caller's X-Request-Id when well formed, else a new one; one for the whole request."""
    known: str | None = getattr(request, "_request_id", None)
    if known is None:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        known = given if WELL_FORMED.match(given) else uuid.uuid4().hex
        request._request_id = known  # type: ignore[attr-defined]
    return known
