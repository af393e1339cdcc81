"""The OpenAPI example of each parameter, by name, or by path and name where they differ.

Examples of bodies and responses: core/examples.py.
"""

from typing import Any

from core.examples import (
    AGENT_ID,
    CREDENTIAL_ID,
    CURSOR,
    EVENT_ID,
    EXECUTION_ID,
    FINGERPRINT,
    INVITATION_ID,
    MEMBER_ID,
    ORGANIZATION_ID,
    RESOURCE_ID,
    UPLOAD_ID,
)

PARAMETERS: dict[str, Any] = {
    "Content-Range": "bytes 0-4/5",
    "Idempotency-Key": "7c1f5a0e-weekly-report",
    "If-Range": '"9a0364b9e99bb480dd25e1f0284c8550"',
    "Range": "bytes=0-99",
    "X-Lease-Generation": 1,
    "action": "agent.created",
    "address": "203.0.113.58",
    "agent": AGENT_ID,
    "agentId": AGENT_ID,
    "agentType": "screener",
    "agent_name": "hymn",
    "credentialId": CREDENTIAL_ID,
    "cursor": CURSOR,
    "days": 30,
    "deploymentEnv": "production",
    "eventId": EVENT_ID,
    "executionId": EXECUTION_ID,
    "dow": 1,
    "extended": True,
    "fid": EXECUTION_ID,
    "fingerprint": FINGERPRINT,
    "format": "csv",
    "from": "2026-03-06",
    "fromDate": "2026-03-06",
    "fromSequence": 1,
    "hour": 9,
    "hours": 24,
    "includeIdle": True,
    "invitationId": INVITATION_ID,
    "limit": 20,
    "memberId": MEMBER_ID,
    "mode": "update",
    "month": "2026-04",
    "name": "Hymn Creator",
    "notAddress": "192.0.2.7,192.0.2.8",
    "notAgentId": AGENT_ID,
    "notReason": "wrong_secret,agent_suspended",
    "notSecret": CREDENTIAL_ID,
    "not_agent": AGENT_ID,
    "not_name": "Hymn Creator",
    "not_state": "resolved",
    "not_status": "finished",
    "not_tag": "CrewAi",
    "not_user": "unknown",
    "offset": 0,
    "order": "reported",
    "organizationId": ORGANIZATION_ID,
    "origin": EXECUTION_ID,
    "outcome": "all",
    "owner": "talent-platform",
    "page": 1,
    "path": "letters/one.txt",
    "plain": "1",
    "pp": 10,
    "q": "status:finished",
    "raw": "1",
    "reason": "wrong_secret",
    "resource": "https://mail.example.com",
    "resourceId": RESOURCE_ID,
    "search": "keyword",
    "secret": CREDENTIAL_ID,
    "since": 2,
    "state": "regressed",
    "status": "finished",
    "tag": "CrewAi",
    "timestamp": 1747813976.091786,
    "to": "2026-03-07T12:00:00Z",
    "toDate": "2026-03-07T12:00:00Z",
    "toSequence": 42,
    "tz": "Europe/Berlin",
    "uploadId": UPLOAD_ID,
    "user": "Grace Hopper",
    "/api/v1/agents status": "active",
    "/api/v1/audit outcome": "success",
    "/timeline offset": EXECUTION_ID,
    "/timeline/changes since": 1747813976.091786,
    "/timeline/list offset": EXECUTION_ID,
}


def show_parameters(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Add the examples to the document (drf-spectacular hook).

    Raise KeyError for a parameter without an example or an example without a parameter.
    """
    unused = set(PARAMETERS)
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                name = parameter["name"]
                key = f"{path} {name}" if f"{path} {name}" in PARAMETERS else name
                example = PARAMETERS[key]
                is_list = parameter.get("schema", {}).get("type") == "array"
                parameter["example"] = [example] if is_list else example
                unused.discard(key)
    if unused:
        raise KeyError(f"No operation has the parameters {sorted(unused)}.")
    return result
