"""Examples of analytics for the OpenAPI document."""

from core.examples import AGENT_ID, ANOTHER_AGENT_ID, CREDENTIAL_ID, ORGANIZATION_ID

TOKEN_TREND = {
    "tenantId": ORGANIZATION_ID,
    "days": 3,
    "data": [
        {"date": "2026-03-06", "count": 142},
        {"date": "2026-03-07", "count": 198},
        {"date": "2026-03-08", "count": 0},
    ],
}
ACTIVITY = {
    "tenantId": ORGANIZATION_ID,
    "data": [
        {"dow": 1, "hour": 9, "count": 54},
        {"dow": 1, "hour": 10, "count": 87},
        {"dow": 3, "hour": 14, "count": 201},
    ],
}
AGENT_USAGE = {
    "tenantId": ORGANIZATION_ID,
    "month": "2026-04",
    "data": [
        {"agentId": AGENT_ID, "tokenCount": 312},
        {"agentId": ANOTHER_AGENT_ID, "tokenCount": 87},
    ],
}
FINDINGS = {
    "tenantId": ORGANIZATION_ID,
    "data": [
        {
            "code": "credential_unused",
            "severity": "warn",
            "agentId": AGENT_ID,
            "agentName": "screener-1",
            "credentialId": CREDENTIAL_ID,
            "secretHint": "_3oA",
            "dates": ["2026-03-02"],
            "numbers": {"days": 30, "neverUsed": True},
            "message": "screener-1 has never used credential …_3oA, made 30 days ago.",
            "detail": "Revoke it, so that it cannot leak.",
            "link": f"/agents/{AGENT_ID}",
            "snoozedUntil": "2026-04-08T00:00:00Z",
            "snoozeReason": "Made ahead for the new region.",
        }
    ],
}
REQUESTS = {
    "tenantId": ORGANIZATION_ID,
    "from": "2026-03-07T12:00:00Z",
    "to": "2026-03-07T14:00:00Z",
    "step": "hour",
    "comparedFrom": "2026-03-06T12:00:00Z",
    "countedSince": None,
    "total": 139,
    "data": [
        {
            "start": "2026-03-07T12:00:00Z",
            "end": "2026-03-07T13:00:00Z",
            "issued": 70,
            "refused": 0,
            "introspected": 0,
            "revoked": 0,
        },
        {
            "start": "2026-03-07T13:00:00Z",
            "end": "2026-03-07T14:00:00Z",
            "issued": 61,
            "refused": 8,
            "introspected": 0,
            "revoked": 0,
        },
    ],
    "agents": [{"value": AGENT_ID, "name": "screener-1", "count": 139, "previousCount": 4}],
    "secrets": [
        {"value": CREDENTIAL_ID, "name": "ci-runner …_3oA", "count": 139, "previousCount": 4}
    ],
    "addresses": [
        {"value": "203.0.113.58", "name": "203.0.113.58", "count": 135, "previousCount": 0},
        {"value": "192.0.2.7", "name": "192.0.2.7", "count": 4, "previousCount": 4},
    ],
    "outcomes": [
        {"value": "issued", "name": "issued", "count": 131, "previousCount": 4},
        {"value": "wrong_secret", "name": "wrong secret", "count": 8, "previousCount": 0},
    ],
}
CSV_OF_TREND = "date,count\r\n2026-03-06,142\r\n2026-03-07,198\r\n2026-03-08,0\r\n"
CSV_OF_ACTIVITY = "dow,hour,count\r\n1,9,54\r\n1,10,87\r\n3,14,201\r\n"
CSV_OF_USAGE = f"agentId,agentName,tokenCount\r\n{AGENT_ID},screener-1,312\r\n"
CSV_OF_FINDINGS = (
    "code,severity,agentName,agentId,credentialId,secretHint,dates,message,detail,link,"
    "snoozedUntil,snoozeReason\r\n"
    f"credential_unused,warn,screener-1,{AGENT_ID},{CREDENTIAL_ID},_3oA,2026-03-02,"
    '"screener-1 has never used credential …_3oA, made 30 days ago.",'
    f"Revoke it, so that it cannot leak.,/agents/{AGENT_ID},"
    "2026-04-08T00:00:00Z,Made ahead for the new region.\r\n"
)
CSV_OF_REQUESTS = (
    "list,value,name,count,previousCount\r\n"
    "hour,2026-03-07T12:00:00Z,issued,70,\r\n"
    f"agents,{AGENT_ID},screener-1,139,4\r\n"
    "outcomes,wrong_secret,wrong secret,8,0\r\n"
)
