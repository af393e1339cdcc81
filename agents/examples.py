"""OpenAPI examples for agents."""

from core.examples import AGENT_EMAIL, AGENT_ID, CREATED_AT, ORGANIZATION_ID, UPDATED_AT

NEW_AGENT = {
    "email": AGENT_EMAIL,
    "agentType": "screener",
    "version": "1.4.0",
    "capabilities": ["resume:read", "candidate:score"],
    "owner": "talent-platform",
    "deploymentEnv": "production",
    "runbookUrl": "https://wiki.example.com/runbooks/screener",
    "scopes": ["agents:read", "executions:write"],
    "isPublic": False,
}
AGENT = {
    "agentId": AGENT_ID,
    "organizationId": ORGANIZATION_ID,
    "name": "screener-1",
    **NEW_AGENT,
    "status": "active",
    "createdAt": CREATED_AT,
    "updatedAt": UPDATED_AT,
}
AGENT_CHANGE = {"version": "1.5.0", "owner": "people-analytics", "status": "suspended"}
