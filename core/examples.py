"""Values for the OpenAPI examples: one company, with the same ids in every operation.

Each app has the examples of its own bodies and responses in `examples.py`, by serializer.
tests/test_openapi_examples.py sends all of them and compares the responses.
"""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema_serializer

ORGANIZATION_ID = "org-0a1b2c3d-e4f5-6789-abcd-ef0123456789"
AGENT_ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
ANOTHER_AGENT_ID = "b2c3d4e5-f6a7-8901-bcde-f12345678901"
CREDENTIAL_ID = "0197a3c0-5d1e-7c44-9b1f-6f0f4f1f2a10"
RESOURCE_ID = "0197a3c4-9a02-7d3c-8f55-2b6f0c9d1e47"
MEMBER_ID = "0197a3bf-1c2d-7e88-a0b1-3c4d5e6f7a8b"
INVITATION_ID = "0197a3d1-77e0-7b15-9c21-8d0e1f2a3b4c"
USER_ID = "35a04fc4-4442-4b24-b109-614b45d52de1"
EVENT_ID = "0197a3d4-0b6c-7f21-8a9e-5d4c3b2a1f00"
UPLOAD_ID = "0197a3d6-4e11-7a90-b7c6-1a2b3c4d5e6f"
EXECUTION_ID = "682d86536dd659324a5c8901"
FINGERPRINT = "v3:8d3e7070970b7109da5f1fecbae22e20"
AGENT_EMAIL = "screener-1@agents.example.com"
PERSON_EMAIL = "grace@example.com"
RESOURCE = "https://mcp.example.com/files"
CURSOR = "W1siMjAyNi0wNC0wMSJdLDIsMTc0NzgxMzk3Ni4wOSxmYWxzZV0:kq3vZyTg0mS1r8f2QhXbLw"
CREATED_AT = "2026-04-01T09:30:00.125000Z"
UPDATED_AT = "2026-04-02T14:05:12.480000Z"
ACCESS_TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhMWIyYzNkNCJ9.c2lnbmF0dXJl"  # noqa: S105
REFRESH_TOKEN = "eyJhbGciOiJFUzI1NiIsInR5cCI6InJ0K2p3dCJ9.eyJqdGkiOiI4M2M1In0.c2lnbmF0dXJl"  # noqa: S105
CLIENT_SECRET = "sk_live_Kkdq_zbCyHF1l3CgZqhc6uwP3r353oshawR_ttD2_3o"  # noqa: S105
ISSUER = "https://id.example.com"
SCOPES = [
    *("agents:read", "agents:write", "tokens:read", "audit:read", "admin:orgs"),
    *("webhooks:read", "webhooks:write", "executions:read", "executions:write", "flows:run"),
]
CLIENT_PROOFS = ["client_secret_basic", "client_secret_post"]
AUTHORIZATION_SERVER = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/api/v1/token",
    "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
    "introspection_endpoint": f"{ISSUER}/api/v1/token/introspect",
    "revocation_endpoint": f"{ISSUER}/api/v1/token/revoke",
    "grant_types_supported": ["client_credentials"],
    "response_types_supported": [],
    "token_endpoint_auth_methods_supported": CLIENT_PROOFS,
    "introspection_endpoint_auth_methods_supported": CLIENT_PROOFS,
    "revocation_endpoint_auth_methods_supported": CLIENT_PROOFS,
    "scopes_supported": SCOPES,
}
PUBLIC_DOCUMENTS: dict[str, Any] = {
    "jwks.json": {
        "keys": [
            {
                "x": "cUapEL6Rtbb4gVUmZ1ejvFuEj-mprmzp-Htez815w-8",
                "y": "tbpWZxpDzAbLxtVnzJrZNuu4DnGs6bBnyhbXe86dlqo",
                "alg": "ES256",
                "crv": "P-256",
                "kid": "nvc6sEym494K161dQzIRPxgc6aAFqxUY4pB73uBCGT4",
                "kty": "EC",
                "use": "sig",
            }
        ]
    },
    "oauth-authorization-server": AUTHORIZATION_SERVER,
    "openid-configuration": {
        **AUTHORIZATION_SERVER,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [],
    },
    "oauth-protected-resource": {
        "resource": f"{ISSUER}/api",
        "authorization_servers": [ISSUER],
        "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
    },
}
NOTHING: Any = object()


def example(response: Any = NOTHING, *, sent: Any = NOTHING, media_type: str | None = None) -> Any:
    """A serializer decorator: an example of the response, and of the request body if `sent` is
    given. JSON unless `media_type` says otherwise."""
    examples = []
    if sent is not NOTHING:
        examples.append(OpenApiExample("Example", sent, request_only=True, media_type=media_type))
    if response is not NOTHING:
        statuses = ["200", "201", "202"]
        examples.append(
            OpenApiExample(
                "Example",
                response,
                response_only=True,
                media_type=media_type,
                status_codes=statuses,
            )
        )
    return extend_schema_serializer(examples=examples)


def example_response(kind: Any, value: Any) -> OpenApiResponse:
    """An example response that no serializer describes."""
    return OpenApiResponse(kind, examples=[OpenApiExample("Example", value)])
