import re
from typing import Any

from core.ids import random_id

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


KEY = "agentidp.request_id"


def request_id_of(environ: dict[str, Any]) -> str:
    """AgentIdP's id of the request: 32 hexadecimal digits, never reused."""
    request_id: str | None = environ.get(KEY)
    if request_id is None:
        request_id = environ[KEY] = random_id().hex
    return request_id


def log_fields_of(environ: dict[str, Any]) -> dict[str, str]:
    """`request_id`, and the caller's X-Request-Id as `client_request_id` if it is well formed.

    Callers may repeat theirs, or use another caller's.
    """
    fields = {"request_id": request_id_of(environ)}
    given = environ.get("HTTP_X_REQUEST_ID", "")
    if WELL_FORMED.match(given):
        fields["client_request_id"] = given
    return fields
