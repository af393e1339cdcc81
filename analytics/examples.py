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
        }
    ],
}
CSV_OF_TREND = "date,count\r\n2026-03-06,142\r\n2026-03-07,198\r\n2026-03-08,0\r\n"
CSV_OF_ACTIVITY = "dow,hour,count\r\n1,9,54\r\n1,10,87\r\n3,14,201\r\n"
CSV_OF_USAGE = f"agentId,agentName,tokenCount\r\n{AGENT_ID},screener-1,312\r\n"
CSV_OF_FINDINGS = (
    "code,severity,agentName,agentId,credentialId,secretHint,dates,message,detail,link\r\n"
    f"credential_unused,warn,screener-1,{AGENT_ID},{CREDENTIAL_ID},_3oA,2026-03-02,"
    '"screener-1 has never used credential …_3oA, made 30 days ago.",'
    f"Revoke it, so that it cannot leak.,/agents/{AGENT_ID}\r\n"
)
