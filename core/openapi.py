"""Additions to the generated OpenAPI document that views cannot declare."""

import re
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from core.openapi_errors import add_errors, error_schemas
from core.openapi_plain_views import plain_operations
from core.operation_names import named

VALUE = re.compile(r"^\* `(.*)` - (.*)\n?", re.MULTILINE)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description=(
        "A text of your own, unique for each new request. The same request with the "
        "same key is carried out only once: for a day it gets the same response again, "
        "or 409 `SECRET_SHOWN_ONCE` if that response showed a secret."
    ),
)


NOT_BLANK = r"[^\s\u001c-\u001f\u0085]"
"""A character that stripping leaves in place; the class covers all of Unicode's whitespace."""


def is_trimmed(field: Any) -> bool:
    """Whether the field strips whitespace from a text and then refuses an empty one."""
    is_text = isinstance(field, serializers.CharField)
    return is_text and field.trim_whitespace and not field.allow_blank


def has_own_form(field: Any, schema: dict[str, Any]) -> bool:
    """Whether the schema already describes the format of the field's texts."""
    is_regular = isinstance(field, serializers.RegexField)
    return is_regular or not schema.keys().isdisjoint({"enum", "format", "pattern"})


def long_enough(field: Any) -> str:
    """A pattern for text that still has the field's minimum length after stripping."""
    least = field.min_length or 1
    if least == 1:
        return NOT_BLANK
    return rf"{NOT_BLANK}[\s\S]{{{least - 2},}}{NOT_BLANK}"


class OperationSchema(AutoSchema):
    """Takes names from operation_names.py, and descriptions only from docstrings written for
    readers of the API: an operation's or a serializer's own, never an inherited one."""

    def get_operation_id(self) -> str:
        return named(self.method, self.path)[0]

    def get_summary(self) -> str:
        return named(self.method, self.path)[1]

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


class KeyCookieScheme(OpenApiAuthenticationExtension):
    target_class = "tokens.authentication.KeyCookieAuthentication"
    name = "keyCookie"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "kodosumi_jwt"}


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
    """Add the shared errors to every operation, and the operations of plain Django views."""
    _forbid_unknown_fields(result)
    _clean(result)
    result["components"]["schemas"] |= error_schemas()
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            add_errors(path, method, operation)
            operation.setdefault("security", [{}])
    result["paths"] |= plain_operations()
    result["paths"] = {
        # Django REST framework keeps methods in a set, whose order varies from run to run.
        path: dict(sorted(operations.items()))
        for path, operations in sorted(result["paths"].items())
    }
    result["components"]["schemas"] = dict(sorted(result["components"]["schemas"].items()))
    return result


def _forbid_unknown_fields(result: dict[str, Any]) -> None:
    """Close every JSON body and the objects in it: a StrictSerializer refuses unknown names."""
    for operations in result["paths"].values():
        for operation in operations.values():
            content = operation.get("requestBody", {}).get("content", {})
            _forbid_additional(content.get("application/json"), result["components"]["schemas"])


def _forbid_additional(node: Any, schemas: dict[str, Any]) -> None:
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    for value in node.values():
        _forbid_additional(value, schemas)
    schema = schemas[node["$ref"].rpartition("/")[2]] if "$ref" in node else {}
    if schema.get("type") == "object":
        schema["additionalProperties"] = False
        _forbid_additional(schema, schemas)


def _clean(node: Any) -> None:
    """Remove noise: `nullable` without a type, and descriptions that only repeat the values."""
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
        if values and all(_repeats_value(*value) for value in values):
            node["description"] = VALUE.sub("", description).strip()
            if not node["description"]:
                del node["description"]
    for each in node.values():
        _clean(each)


def _repeats_value(value: str, label: str) -> bool:
    return value.lower() == label.lower().replace(" ", "_")
