"""Examples of executions for the OpenAPI document."""

from core.examples import AGENT_ID, CREDENTIAL_ID, EXECUTION_ID, UPLOAD_ID, USER_ID

EVENTS = {
    "events": [
        {"kind": "stdout", "message": "Writing the first verse", "timestamp": 1747813980.25},
        {"kind": "result", "message": {"Markdown": {"body": "# Verse one"}}},
    ]
}
EVENT = {"kind": "stdout", "message": "Writing the second verse"}
APPENDED = {"accepted": 2, "duplicates": 0, "lastSequence": 5, "status": "running"}
NEW_EXECUTION = {
    "executionId": EXECUTION_ID,
    "status": "running",
    "summary": "Hymn Creator",
    "description": "This agent creates a short hymn about a given topic.",
    "tags": ["Test", "CrewAi"],
    "inputs": {"topic": "Ich wollte ich wäre ein Huhn."},
    "startedAt": "2025-05-21T07:52:56.091786Z",
    "userId": USER_ID,
    "leaseSeconds": 60,
}
EXECUTION_SUMMARY = {
    "executionId": EXECUTION_ID,
    "agentId": AGENT_ID,
    "agentName": "hymn-creator",
    "userId": USER_ID,
    "status": "finished",
    "summary": "Hymn Creator",
    "tags": ["Test", "CrewAi"],
    "startedAt": "2025-05-21T07:52:56.091786Z",
    "endedAt": "2025-05-21T07:53:16.802532Z",
    "error": "",
    "inputTokens": 1000,
    "outputTokens": 500,
    "costUsd": "0.05",
    "lastSequence": 8,
}
EXECUTION = {
    **EXECUTION_SUMMARY,
    "credentialId": CREDENTIAL_ID,
    "description": "This agent creates a short hymn about a given topic.",
    "inputs": {"topic": "Ich wollte ich wäre ein Huhn."},
    "final": {"Markdown": {"body": "**Ich wollte ich wäre ein Huhn**"}},
    "leaseGeneration": 1,
    "leaseExpiresAt": None,
}
CHANGE = {"inputTokens": 1000, "outputTokens": 500, "costUsd": "0.05"}
FINISH = {
    "status": "finished",
    "final": {"Markdown": {"body": "**Ich wollte ich wäre ein Huhn**"}},
}
HEARTBEAT = {"leaseSeconds": 60}
LEASE = {
    "status": "running",
    "leaseGeneration": 1,
    "leaseExpiresAt": "2025-05-21T07:53:56.091786Z",
}
NEW_UPLOAD = {"area": "out", "path": "reports/hymn.md", "size": 5}
UPLOAD = {
    "uploadId": UPLOAD_ID,
    **NEW_UPLOAD,
    "received": 2,
    "missing": [{"first": 2, "last": 4}],
    "isComplete": False,
}
CONTENT = "hymn\n"
STORAGE = {
    "executions": {"used": 1204, "limit": 1000000},
    "eventBytes": {"used": 52428800, "limit": 10737418240},
    "fileBytes": {"used": 7340032, "limit": 10737418240},
    "auditEvents": 5310,
    "auditBytes": 3802611,
    "deletedExecutions": 87,
}
