"""The error responses of each operation in the OpenAPI document."""

from http import HTTPStatus
from typing import Any

ERROR = {"$ref": "#/components/schemas/Error"}
OAUTH_ERROR = {"$ref": "#/components/schemas/OAuthError"}
DESCRIPTIONS = {
    "400": "The request is not valid; `details` names the field.",
    "401": "The bearer token is missing, expired or revoked.",
    "403": "The token lacks a scope, or the role does not allow it.",
    "404": "The organization has nothing with this id.",
    "409": "The request conflicts with the current state.",
    "411": "The body is chunked, without a length.",
    "412": "The file is not the one that the condition names.",
    "413": "The body is too large.",
    "414": "The query is longer than 8192 bytes.",
    "415": "The content type is not supported.",
    "416": "The file has no such range of bytes.",
    "422": "The Idempotency-Key was used for a different request before.",
    "429": "Too many requests; wait for `Retry-After` seconds.",
    "503": "The database cannot be reached at the moment.",
}
COSTLY_READS = frozenset({"/api/v1/audit/verify"})
COSTLY_WISHES = frozenset({"q", "extended"})
"""Rate-limited reads, and query parameters that make a read rate-limited: searches and long
polling. Writes always are."""


def add_errors(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = {"400", "503"}
    if operation.get("security") or method == "post":
        statuses |= {"401", "403"}
    if "{" in path or "requestBody" in operation:
        statuses.add("404")
    if method in {"post", "put", "patch", "delete"}:
        statuses |= {"409", "429"}
    if "requestBody" in operation:
        statuses |= {"411", "413", "415"}
    parameters = operation.get("parameters", ())
    if any(each["in"] == "query" for each in parameters):
        statuses.add("414")
    if path in COSTLY_READS or COSTLY_WISHES & {each["name"] for each in parameters}:
        statuses.add("429")
    if any(each["name"] == "Idempotency-Key" for each in parameters):
        statuses.add("422")
    if "206" in operation.get("responses", {}):
        statuses |= {"412", "416"}
    content = {"application/json": {"schema": ERROR}}
    responses = operation.setdefault("responses", {})
    is_oauth = path.endswith(("/introspect", "/revoke"))
    for status, response in responses.items():
        response["description"] = response.get("description") or HTTPStatus(int(status)).phrase
    for status in sorted(statuses - responses.keys()):
        schema = OAUTH_ERROR if is_oauth and status != "404" else ERROR
        content = {"application/json": {"schema": schema}}
        responses[status] = {"description": DESCRIPTIONS[status], "content": content}
    operation["responses"] = dict(sorted(responses.items()))


def error_schemas() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "Error": {
            "type": "object",
            "description": "The body of every error.",
            "required": ["code", "message"],
            "properties": {
                "code": {**text, "description": "A stable code for programs."},
                "message": {**text, "description": "A sentence for people."},
                "details": {
                    "type": "object",
                    "additionalProperties": {},
                    "description": "The invalid fields, or the numbers behind the error.",
                },
            },
        },
        "OAuthError": {
            "type": "object",
            "description": "RFC 6749 section 5.2.",
            "required": ["error"],
            "properties": {"error": text, "error_description": text},
        },
    }
