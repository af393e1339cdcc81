"""OpenAPI operations of plain Django views: the token endpoint and the public documents."""

from typing import Any

from core.examples import ACCESS_TOKEN, AGENT_ID, CLIENT_SECRET, PUBLIC_DOCUMENTS
from core.openapi_errors import DESCRIPTIONS, ERROR, OAUTH_ERROR
from core.operation_names import named

# RFC 6749 section 3.2: a parameter without a value is treated as omitted.
UUID_OR_NOTHING = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})?$"


def plain_operations() -> dict[str, Any]:
    return _token_endpoint() | _public_documents()


def _named_fields(method: str, path: str) -> dict[str, str]:
    name, summary = named(method, path)
    return {"operationId": name, "summary": summary}


def _shown(schema: dict[str, Any], value: Any) -> dict[str, Any]:
    """A media type object with its example, as drf-spectacular writes them for serializers."""
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
                "description": (
                    "Scopes separated by spaces. The default is all that the agent may have. For a "
                    "resource, the token gets those of them that the agent may have there, and the "
                    "response lists them."
                ),
            },
            "resource": {
                **text,
                "description": (
                    "The identifier of the resource that the token is for (RFC 8707). It becomes "
                    "`aud`. The default is the API of AgentIdP. Repeated values must be equal, "
                    "because a token has one receiver: different ones are `invalid_target`."
                ),
            },
        },
    }
    body = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope"],
        "properties": {
            "access_token": text,
            "token_type": {**text, "enum": ["Bearer"]},
            "expires_in": {
                "type": "integer",
                "description": "The lifetime in seconds. A resource can have its own.",
            },
            "scope": text,
        },
    }
    example_form = {
        "grant_type": "client_credentials",
        "client_id": AGENT_ID,
        "client_secret": CLIENT_SECRET,
        "scope": "agents:read executions:write",
    }
    example_body = {
        "access_token": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "agents:read executions:write",
    }
    operation = {
        **_named_fields("post", "/api/v1/token"),
        "description": "Exchange client credentials for a signed token (RFC 6749 section 4.4).",
        "tags": ["Tokens"],
        "security": [{"client": []}, {}],
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": _shown(form, example_form)},
        },
        "responses": {
            "200": {
                "description": "A token.",
                "content": {"application/json": _shown(body, example_body)},
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
        "openid-configuration": "The same metadata, for clients that use OpenID Connect Discovery.",
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
