"""What the generated OpenAPI document lacks: the errors of every operation, and the plain views."""

import re
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from core.examples import ACCESS_TOKEN, AGENT_ID, CLIENT_SECRET, PUBLIC_DOCUMENTS
from core.operation_names import SUMMARIES

ERROR = {"$ref": "#/components/schemas/Error"}
OAUTH_ERROR = {"$ref": "#/components/schemas/OAuthError"}
# RFC 6749 section 3.2: a parameter without a value counts as left out.
UUID_OR_NOTHING = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$"
VALUE = re.compile(r"^\* `(.*)` - (.*)\n?", re.MULTILINE)
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
    "422": "The Idempotency-Key came with another request before.",
    "429": "Too many requests; wait for `Retry-After` seconds.",
    "503": "The database cannot be reached at the moment.",
}
COSTLY_READS = frozenset({"/api/v1/audit/verify"})
COSTLY_WISHES = frozenset({"q", "extended"})
"""Reads whose number is limited, and parameters of such: searches, and waiting for what is not
there yet. The number of what changes something always is."""
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="Any text of your own, new for each new request. The same request with the same "
    "key is carried out once: within a day it gets the same answer again, or 409 "
    "`SECRET_SHOWN_ONCE` where that showed a secret.",
)


NOT_BLANK = r"[^\s\u001c-\u001f\u0085]"
"""A character that is left when the blanks around a text are cut off: the whole of Unicode's."""


def is_trimmed(field: Any) -> bool:
    """Whether the field takes blanks off both ends of a text, and then refuses an empty one."""
    is_text = isinstance(field, serializers.CharField)
    return is_text and field.trim_whitespace and not field.allow_blank


def has_own_form(field: Any, schema: dict[str, Any]) -> bool:
    """Whether the document says otherwise what its texts look like."""
    is_regular = isinstance(field, serializers.RegexField)
    return is_regular or not schema.keys().isdisjoint({"enum", "format", "pattern"})


def long_enough(field: Any) -> str:
    """The pattern of what is left of a text of such a field."""
    least = field.min_length or 1
    if least == 1:
        return NOT_BLANK
    return rf"{NOT_BLANK}[\s\S]{{{least - 2},}}{NOT_BLANK}"


class OperationSchema(AutoSchema):
    """Takes names from operations.py, and descriptions only from where they are meant for readers:
    the docstring of an operation, or a serializer's own, never that of a class above."""

    def get_operation_id(self) -> str:
        return _named(self.method, self.path)[0]

    def get_summary(self) -> str:
        return _named(self.method, self.path)[1]

    def get_override_parameters(self) -> list[Any]:
        repeatable = getattr(self.view, "repeatable", ())
        return [IDEMPOTENCY_KEY] if getattr(self.view, "action", "") in repeatable else []

    def get_description(self) -> str:  # type: ignore[override]
        action = getattr(self.view, "action", self.method.lower())
        return get_doc(getattr(self.view, action, None))

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer_field(field, direction, bypass_extensions)
        if direction == "request" and is_trimmed(field) and not has_own_form(field, schema):
            schema["pattern"] = long_enough(field)
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)
        if not type(serializer).__dict__.get("__doc__"):
            schema.pop("description", None)
        return schema


def _named(method: str, path: str) -> tuple[str, str]:
    try:
        return SUMMARIES[f"{method.upper()} {path}"]
    except KeyError as error:
        sentence = f"{method} {path} has no line in core/operation_names.py."
        raise ImproperlyConfigured(sentence) from error


def _named_fields(method: str, path: str) -> dict[str, str]:
    name, summary = _named(method, path)
    return {"operationId": name, "summary": summary}


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "tokens.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class KeyHeaderScheme(OpenApiAuthenticationExtension):
    target_class = "tokens.authentication.KeyHeaderAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "header", "name": "KODOSUMI_API_KEY"}


class PageSessionScheme(OpenApiAuthenticationExtension):
    target_class = "organizations.api.sessions.PageSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class ClientScheme(OpenApiAuthenticationExtension):
    target_class = "tokens.oauth.client_authentication.ClientAuthentication"
    name = "client"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "basic", "description": "Client id and secret."}


def complete_schema(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the shared errors to every operation, and the operations of the plain views."""
    _forbid_unknown_fields(result)
    _clean(result)
    result["components"]["schemas"] |= _error_schemas()
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _add_errors(path, method, operation)
            operation.setdefault("security", [{}])
    result["paths"] |= _token_endpoint() | _public_documents()
    result["paths"] = {
        # Django REST framework keeps the methods in a set: without order from run to run.
        path: dict(sorted(operations.items()))
        for path, operations in sorted(result["paths"].items())
    }
    result["components"]["schemas"] = dict(sorted(result["components"]["schemas"].items()))
    return result


def _forbid_unknown_fields(result: dict[str, Any]) -> None:
    """Every JSON body is a StrictSerializer's, as are the objects in it: it refuses names that it
    does not know."""
    for operations in result["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            _close(content.get("application/json"), result["components"]["schemas"])


def _close(node: Any, schemas: dict[str, Any]) -> None:
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    for value in node.values():
        _close(value, schemas)
    schema = schemas[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
    if schema.get("type") == "object":
        schema["additionalProperties"] = False
        _close(schema, schemas)


def _clean(node: Any) -> None:
    """Drop what says nothing: `nullable` without a type, and values described by themselves."""
    if isinstance(node, list):
        for each in node:
            _clean(each)
        return
    if not isinstance(node, dict):
        return
    if node.get("nullable") is True and not {"type", "allOf", "$ref"} & node.keys():
        del node["nullable"]
    if isinstance(description := node.get("description"), str):
        values = VALUE.findall(description)
        if values and all(_is_itself(*value) for value in values):
            node["description"] = VALUE.sub("", description).strip()
            if not node["description"]:
                del node["description"]
    for each in node.values():
        _clean(each)


def _is_itself(value: str, label: str) -> bool:
    return value.lower() == label.lower().replace(" ", "_")


def _add_errors(path: str, method: str, operation: dict[str, Any]) -> None:
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
    if any(each["name"] == IDEMPOTENCY_KEY.name for each in parameters):
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


def _error_schemas() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "Error": {
            "type": "object",
            "description": "The one error body.",
            "required": ["code", "message"],
            "properties": {
                "code": {**text, "description": "Stable, for programs."},
                "message": {**text, "description": "A sentence, for people."},
                "details": {
                    "type": "object",
                    "additionalProperties": {},
                    "description": "Faulty fields, or the numbers behind the error.",
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


def _shown(schema: dict[str, Any], value: Any) -> dict[str, Any]:
    """A body with its example, as drf-spectacular writes those of serializers."""
    return {"schema": schema, "examples": {"Example": {"value": value}}}


def _token_endpoint() -> dict[str, Any]:
    text = {"type": "string"}
    form = {
        "type": "object",
        "required": ["grant_type"],
        "additionalProperties": text,
        "properties": {
            "grant_type": {**text, "enum": ["client_credentials"]},
            "client_id": {**text, "pattern": UUID_OR_NOTHING},
            "client_secret": {**text, "format": "password"},
            "scope": {
                **text,
                "description": "Separated by spaces; absent: all allowed. For a resource, the "
                "token gets what the agent is allowed there of it, and the answer says so.",
            },
            "resource": {
                **text,
                "description": "The identifier of the resource that the token is for (RFC 8707): "
                "it becomes `aud`. Absent: the API of AgentIdP. It may be given twice only to say "
                "the same: a token has one receiver, so two resources are `invalid_target`.",
            },
        },
    }
    answer = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": text,
            "token_type": {**text, "enum": ["Bearer"]},
            "expires_in": {"type": "integer", "description": "Seconds; a resource may choose."},
            "scope": text,
        },
    }
    example_form = {
        "grant_type": "client_credentials",
        "client_id": AGENT_ID,
        "client_secret": CLIENT_SECRET,
        "scope": "agents:read executions:write",
    }
    example_answer = {
        "access_token": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "agents:read executions:write",
    }
    operation = {
        **_named_fields("post", "/api/v1/token"),
        "description": "Client credentials in, a signed token out (RFC 6749 section 4.4).",
        "tags": ["Tokens"],
        "security": [{"client": []}, {}],
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": _shown(form, example_form)},
        },
        "responses": {
            "200": {
                "description": "A token.",
                "content": {"application/json": _shown(answer, example_answer)},
            },
            **{
                status: {
                    "description": description,
                    "content": {"application/json": {"schema": OAUTH_ERROR}},
                }
                for status, description in {
                    "400": "The request, its scope, its resource or its grant type is not valid.",
                    "401": "The client is not known or its secret is wrong.",
                    "411": DESCRIPTIONS["411"],
                    "413": DESCRIPTIONS["413"],
                    "429": DESCRIPTIONS["429"],
                    "503": DESCRIPTIONS["503"],
                }.items()
            },
        },
    }
    return {"/api/v1/token": {"post": operation}}


def _public_documents() -> dict[str, Any]:
    descriptions = {
        "jwks.json": "The public keys that verify our tokens (RFC 7517).",
        "oauth-authorization-server": "Authorization server metadata (RFC 8414).",
        "openid-configuration": "The same, for clients of OpenID Connect Discovery.",
        "oauth-protected-resource": "Protected resource metadata (RFC 9728).",
    }
    documents = {
        f"/.well-known/{name}": (description, PUBLIC_DOCUMENTS[name])
        for name, description in descriptions.items()
    }
    schema = {"type": "object", "additionalProperties": {}}
    return {
        path: {
            "get": {
                **_named_fields("get", path),
                "description": description,
                "tags": ["Metadata"],
                "security": [{}],
                "responses": {
                    "200": {
                        "description": description,
                        "content": {"application/json": _shown(schema, example)},
                    },
                    "503": {
                        "description": DESCRIPTIONS["503"],
                        "content": {"application/json": {"schema": ERROR}},
                    },
                },
            }
        }
        for path, (description, example) in documents.items()
    }
