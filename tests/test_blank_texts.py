"""Blank texts are refused exactly where the OpenAPI document says so."""

from typing import Any

import pytest
from django.test import Client
from openapi_schema_validator import OAS30Validator

from tests.calls import bearer_of, call
from tests.endpoint import ORGANIZATION, PUBLIC, Endpoint
from tests.endpoints import ENDPOINTS
from tests.routes import body_fields, openapi_document
from tests.tenants import Tenant

BLANKS = (" ", "   ", "\t\n", "\u00a0\u2003", "\x1c\x85")


MORE_THAN_A_FORM = {"/api/v1/invitations/accept password"}
"""Passwords have further rules."""


def text_schema(field: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema of the field's texts ({} if it has none), and whether it is a list of them."""
    if field.get("type") == "array":
        return text_schema(field["items"])[0], True
    has_form = {"format", "enum"} & field.keys()
    return ({} if has_form or field.get("type") != "string" else field), False


FIELDS = [
    (each, name, *text_schema(schema))
    for each in ENDPOINTS
    if each.is_documented and each.body and not each.is_form
    for name, schema in body_fields(each).items()
    if text_schema(schema)[0] and f"{each.path} {name}" not in MORE_THAN_A_FORM
]


@pytest.mark.parametrize(
    ("endpoint", "name", "schema", "is_list"),
    FIELDS,
    ids=[f"{endpoint} {name}" for endpoint, name, *_ in FIELDS],
)
def test_a_blank_text_is_refused_where_the_document_refuses_it(
    endpoint: Endpoint, name: str, schema: dict[str, Any], is_list: bool, ours: Tenant
) -> None:
    validator = OAS30Validator(schema | {"components": openapi_document()["components"]})
    for text in (*BLANKS, " a ") if schema.get("minLength", 0) > 1 else BLANKS:
        response = call(
            caller(endpoint, ours),
            endpoint,
            ours,
            body=endpoint.body(ours) | {name: [text] if is_list else text},  # type: ignore[misc]
        )

        details = response.json().get("details", {}) if response.status_code == 400 else {}
        assert validator.is_valid(text) == (name not in details), (text, details)


def caller(endpoint: Endpoint, tenant: Tenant) -> Client:
    if endpoint.access != ORGANIZATION:
        assert endpoint.access == PUBLIC
        return Client()
    return bearer_of(endpoint, tenant)
