"""OpenAPI examples for organizations, their people and the audit log."""

import json

from core.examples import (
    AGENT_EMAIL,
    AGENT_ID,
    CREATED_AT,
    EVENT_ID,
    INVITATION_ID,
    MEMBER_ID,
    ORGANIZATION_ID,
    PERSON_EMAIL,
    UPDATED_AT,
    USER_ID,
)

NEW_ORGANIZATION = {
    "name": "Northwind Labs",
    "slug": "northwind-labs",
    "signingAlgorithm": "ES256",
    "timeZone": "Europe/Berlin",
    "executionRetentionDays": 90,
}
ORGANIZATION = {
    "organizationId": ORGANIZATION_ID,
    **NEW_ORGANIZATION,
    "planTier": "free",
    "maxAgents": 100,
    "maxTokensPerMonth": 10000,
    "status": "active",
    "createdAt": CREATED_AT,
    "updatedAt": UPDATED_AT,
}
ORGANIZATION_CHANGE = {"timeZone": "America/New_York", "executionRetentionDays": None}
PERSON = {
    "memberId": MEMBER_ID,
    "kind": "person",
    "role": "operator",
    "agentId": None,
    "userId": USER_ID,
    "email": PERSON_EMAIL,
    "emailVerified": True,
    "name": "Grace Hopper",
    "createdAt": CREATED_AT,
}
NEW_MEMBER = {"agentId": AGENT_ID, "role": "member"}
ROLE = {"role": "operator"}
NEW_INVITATION = {"email": PERSON_EMAIL, "role": "viewer"}
INVITATION = {
    "invitationId": INVITATION_ID,
    **NEW_INVITATION,
    "status": "open",
    "createdAt": CREATED_AT,
    "expiresAt": "2026-04-08T09:30:00.125000Z",
    "acceptedAt": None,
    "revokedAt": None,
}
LINK_SECRET = f"{INVITATION_ID}.ixlHlDJD6lluAhc3qr67TkYGweHw0733b-DQllwQUfM"
INVITATION_WITH_LINK = {
    **INVITATION,
    "acceptUrl": f"https://id.example.com/invitations/{LINK_SECRET}",
}
ACCEPTANCE = {
    "token": LINK_SECRET,
    "name": "Grace Hopper",
    "password": "correct horse battery staple",
}
ACCEPTED = {
    "organizationId": ORGANIZATION_ID,
    "organizationName": "Northwind Labs",
    "email": PERSON_EMAIL,
    "role": "viewer",
}
FORGOTTEN_PASSWORD = {"email": PERSON_EMAIL}
HASH = "863d5b85f4cf4253beef1ff4d9c2a52562b181a4f7abff1ae637ef4b18e0d37c"
HASH_BEFORE = "6c63841809f6dbdfc5170c6931a7a8ffb018129d751abed3e4a620202e7a4f36"
REQUEST_ID = "3b122b6aeb2d4128aa2044cad7771756"
AUDIT_EVENT = {
    "eventId": EVENT_ID,
    "organizationId": ORGANIZATION_ID,
    "sequence": 42,
    "timestamp": UPDATED_AT,
    "action": "agent.updated",
    "outcome": "success",
    "agentId": AGENT_ID,
    "actor": {"kind": "person", "id": USER_ID, "label": PERSON_EMAIL},
    "target": {"type": "agent", "id": AGENT_ID, "label": AGENT_EMAIL},
    "ipAddress": "192.0.2.7",
    "userAgent": "curl/8.5.0",
    "requestId": REQUEST_ID,
    "metadata": {"before": {"version": "1.4.0"}, "after": {"version": "1.5.0"}},
    "previousHash": HASH_BEFORE,
    "hash": HASH,
}
VERIFICATION = {
    "verified": True,
    "fromSequence": 1,
    "toSequence": 42,
    "checked": 42,
    "brokenAt": None,
    "reason": "",
    "headSequence": 42,
    "headHash": HASH,
    "checkedAt": "2026-04-02T15:00:00.000000Z",
}
EXPORTED_LINE = json.dumps(
    {
        "action": "agent.updated",
        "actorId": USER_ID,
        "actorKind": "person",
        "actorLabel": PERSON_EMAIL,
        "agentId": AGENT_ID,
        "eventId": EVENT_ID,
        "hash": HASH,
        "ipAddress": "192.0.2.7",
        "metadata": {"before": {"version": "1.4.0"}, "after": {"version": "1.5.0"}},
        "organizationId": ORGANIZATION_ID.removeprefix("org-"),
        "outcome": "success",
        "previousHash": HASH_BEFORE,
        "requestId": REQUEST_ID,
        "sequence": 42,
        "targetId": AGENT_ID,
        "targetLabel": AGENT_EMAIL,
        "targetType": "agent",
        "timestamp": "2026-04-02T14:05:12.480000+00:00",
        "userAgent": "curl/8.5.0",
    },
    separators=(",", ":"),
)
