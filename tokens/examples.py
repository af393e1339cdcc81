"""OpenAPI examples for credentials, sessions, resources and tokens."""

from core.examples import (
    ACCESS_TOKEN,
    AGENT_EMAIL,
    AGENT_ID,
    CLIENT_SECRET,
    CREATED_AT,
    CREDENTIAL_ID,
    ORGANIZATION_ID,
    PERSON_EMAIL,
    REFRESH_TOKEN,
    RESOURCE,
    RESOURCE_ID,
    UPDATED_AT,
    USER_ID,
)

NEW_CREDENTIAL = {"name": "prod, k8s", "expiresAt": "2999-01-01T00:00:00Z"}
CREDENTIAL = {
    "credentialId": CREDENTIAL_ID,
    "clientId": AGENT_ID,
    "status": "active",
    "name": "prod, k8s",
    "secretHint": CLIENT_SECRET[-4:],
    "createdAt": CREATED_AT,
    "expiresAt": "2999-01-01T00:00:00Z",
    "rotatedAt": UPDATED_AT,
    "previousExpiresAt": "2026-04-02T15:05:12.480000Z",
    "oldSecrets": [{"secretHint": "pjhc", "expiresAt": "2026-04-02T15:05:12.480000Z"}],
    "previousSecretLastUsedAt": None,
    "revokedAt": None,
    "lastUsedAt": UPDATED_AT,
}
CREDENTIAL_WITH_SECRET = {**CREDENTIAL, "clientSecret": CLIENT_SECRET}
CREDENTIAL_CHANGE = {"name": "staging, k8s"}
ROTATION = {"graceSeconds": 3600, "expiresAt": None}

SCOPES = [
    {"name": "files:read", "description": "Read files"},
    {"name": "files:write", "description": "Write files"},
]
NEW_RESOURCE = {
    "identifier": RESOURCE,
    "name": "Files",
    "scopes": SCOPES,
    "tokenLifetimeSeconds": 300,
}
SHOWN_RESOURCE = {
    "resourceId": RESOURCE_ID,
    **NEW_RESOURCE,
    "createdAt": CREATED_AT,
    "updatedAt": UPDATED_AT,
}
RESOURCE_CHANGE = {"name": "Shared files", "tokenLifetimeSeconds": None}
GRANT = {
    "agentId": AGENT_ID,
    "email": AGENT_EMAIL,
    "scopes": ["files:read"],
    "createdAt": CREATED_AT,
    "updatedAt": UPDATED_AT,
}
GRANTED_SCOPES = {"scopes": ["files:read"]}

LOG_IN = {
    "email": PERSON_EMAIL,
    "password": "correct horse battery staple",
    "organizationId": ORGANIZATION_ID,
}
REFRESH = {"refreshToken": REFRESH_TOKEN}
SWITCH = {"organizationId": ORGANIZATION_ID}
SESSION_TOKENS = {
    "accessToken": ACCESS_TOKEN,
    "refreshToken": REFRESH_TOKEN,
    "tokenType": "Bearer",
    "expiresIn": 900,
    "organizationId": ORGANIZATION_ID,
    "role": "operator",
}
SESSION = {
    "kind": "person",
    "id": USER_ID,
    "email": PERSON_EMAIL,
    "organizationId": ORGANIZATION_ID,
    "role": "operator",
    "scopes": ["agents:read", "audit:read", "executions:read", "executions:write"],
    "organizations": [{"organizationId": ORGANIZATION_ID, "name": "Northwind Labs"}],
}

TOKEN_FORM = {"token": ACCESS_TOKEN, "token_type_hint": "access_token"}
INTROSPECTION = {
    "active": True,
    "token_type": "Bearer",
    "scope": "agents:read executions:write",
    "client_id": AGENT_ID,
    "sub": AGENT_ID,
    "aud": "https://id.example.com/api",
    "iss": "https://id.example.com",
    "exp": 1775142312,
    "iat": 1775138712,
    "jti": "a58f67e5-e669-4bcc-9f14-b276f080ec5d",
    "organization_id": ORGANIZATION_ID,
}
