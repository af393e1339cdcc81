"""The product's operations according to the URLconf and the OpenAPI document."""

import re
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction
from django.test import RequestFactory
from drf_spectacular.generators import SchemaGenerator

from agentidp.devtools.routes import METHODS
from tests.endpoint import Endpoint

SOME_ID = "00000000-0000-4000-8000-000000000000"


def methods_of(path: str, view: Any) -> set[str]:
    """The methods that an API view declares; plain views are probed without middleware."""
    if hasattr(view, "actions"):
        return {method.upper() for method in view.actions} & set(METHODS)
    if hasattr(view, "cls"):
        return {method for method in METHODS if hasattr(view.cls, method.lower())}
    return {method for method in METHODS if _accepts(path, view, method)}


def _accepts(path: str, view: Any, method: str) -> bool:
    request = RequestFactory().generic(method, path)
    try:
        with transaction.atomic():
            response = view(request, **dict.fromkeys(names_in(path), SOME_ID))
    except Exception:
        return True  # The view was reached, and failed because the request has no user.
    return bool(response.status_code != 405)


def names_in(path: str) -> list[str]:
    """The names of the ids in the path."""
    return re.findall(r"{(\w+)}", path)


def openapi_document() -> dict[str, Any]:
    return _document_of(settings.ROOT_URLCONF)


@cache
def _document_of(urlconf: str) -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document


def operation(endpoint: Endpoint) -> dict[str, Any]:
    """The endpoint in the OpenAPI document; empty if the document omits it."""
    described = openapi_document()["paths"].get(endpoint.path, {})
    found: dict[str, Any] = described.get(endpoint.method.lower(), {})
    return found


def query_parameters(endpoint: Endpoint) -> dict[str, dict[str, Any]]:
    """The schema of each query parameter, by name."""
    return {
        parameter["name"]: parameter["schema"]
        for parameter in operation(endpoint).get("parameters", ())
        if parameter["in"] == "query"
    }


def body_schema(endpoint: Endpoint) -> dict[str, Any]:
    """The schema of the JSON body; empty if there is none."""
    content = operation(endpoint).get("requestBody", {}).get("content", {})
    schema: dict[str, Any] = content.get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = openapi_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def body_fields(endpoint: Endpoint) -> dict[str, dict[str, Any]]:
    """The schema of each field that the JSON body may have, by name."""
    fields: dict[str, dict[str, Any]] = body_schema(endpoint).get("properties", {})
    return {name: field for name, field in fields.items() if not field.get("readOnly")}
