import re
import uuid

from django.http import HttpRequest

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


def request_id_of(request: HttpRequest) -> str:
    """Our own name of the request, 32 hexadecimal digits; no other request ever has it."""
    known: str | None = getattr(request, "_request_id", None)
    if known is None:
        known = uuid.uuid4().hex
        request._request_id = known  # type: ignore[attr-defined]
    return known


def log_fields_of(request: HttpRequest) -> dict[str, str]:
    """`request_id`, and as `client_request_id` the caller's X-Request-Id if it is well formed:
    callers may use one twice, or another caller's."""
    fields = {"request_id": request_id_of(request)}
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    if WELL_FORMED.match(given):
        fields["client_request_id"] = given
    return fields
