"""Examples of executions in kodosumi's words for the OpenAPI document."""

from core.examples import ACCESS_TOKEN, CURSOR, EXECUTION_ID, FINGERPRINT, USER_ID

LOG_IN = {"name": "grace", "password": "correct horse battery staple"}
KEY = {"name": "grace", "id": USER_ID, "KODOSUMI_API_KEY": ACCESS_TOKEN}
STARTED, ENDED = 1747813976.091786, 1747813996.8025322
SLICE = {"limit": 1000, "offset": 0, "has_more": False, "next_cursor": None}
META = {"dict": {"summary": "Hymn Creator", "tags": ["Test", "CrewAi"], "version": "1.0.1"}}
EXECUTION = {
    "fid": EXECUTION_ID,
    "user_id": USER_ID,
    "agent_name": "hymn-creator",
    "status": "finished",
    "meta": META,
    "error": None,
    "error_timestamp": None,
    "start_time": STARTED,
    "end_time": ENDED,
    "runtime": 20.71,
    "upload_count": 0,
    "download_count": 1,
}
RUNNING_AGENTS = {
    "total": 41,
    "agents": [{**EXECUTION, "user_name": "Grace Hopper"}],
    "filters": {
        "hours": 24,
        "agent_name": None,
        "user": None,
        "status": "finished",
        "search": "keyword",
        "tag": None,
    },
    "limit": 1,
    "offset": 0,
    "has_more": True,
    "next_cursor": CURSOR,
}
ERRORS = {
    "total": 1,
    "errors": [
        {
            "fid": EXECUTION_ID,
            "user_id": USER_ID,
            "user_name": "Grace Hopper",
            "agent_name": "hymn-creator",
            "timestamp": ENDED,
            "message": "ValueError: Please give me a topic.",
            "error": {
                "error": "ValueError: Please give me a topic.",
                "traceback": "Traceback (most recent call last): …",
            },
            "error_type": "ValueError",
            "fingerprint": FINGERPRINT,
        }
    ],
    **SLICE,
}
STATE = {
    "state": "resolved",
    "resolved_at": 1747814400.0,
    "resolved_by": "grace.hopper@example.com",
    "note": "The form now asks for a topic.",
}
RESOLUTION = {"note": STATE["note"]}
RESOLVED_GROUP = {"fingerprint": FINGERPRINT, **STATE}
ERROR_GROUPS = {
    "total": 1,
    "groups": [
        {
            "fingerprint": FINGERPRINT,
            "error_type": "ValueError",
            "message": "ValueError: Please give me a topic.",
            "agent_names": ["hymn-creator"],
            "count": 3,
            "executions": 2,
            "users": 1,
            "first_seen": STARTED,
            "last_seen": ENDED,
            "sparkline": [1, 0, 2],
            **STATE,
        }
    ],
    "step": "hour",
    "starts": [1747807200.0, 1747810800.0, 1747814400.0],
    **SLICE,
}
TIMELINE = {"total": 1, "executions": [EXECUTION], **SLICE}
STATISTICS = {
    "total_executions": 128,
    "by_status": {"finished": 120, "error": 6, "running": 2},
    "by_user": {USER_ID: 128},
    "by_agent": {"hymn-creator": 128},
    "user_map": {USER_ID: "Grace Hopper"},
    "running": 2,
    "error_rate": 0.046875,
    "avg_runtime": 20.7,
    "p50_runtime": 19.4,
    "p95_runtime": 31.2,
    "p99_runtime": 44.8,
}
DETAILS = {
    "metadata": EXECUTION,
    "events": [
        {"id": 1, "timestamp": STARTED, "kind": "status", "message": "starting"},
        {"id": 2, "timestamp": STARTED + 1, "kind": "status", "message": "running"},
        {
            "id": 3,
            "timestamp": STARTED + 4,
            "kind": "stdout",
            "message": "Writing the first verse",
        },
    ],
    "total_events": 3,
    **SLICE,
}
FILES = {
    "fid": EXECUTION_ID,
    "uploads": [],
    "downloads": [
        {
            "name": "hymn.md",
            "size": 1024,
            "path": "out/hymn.md",
            "url": f"/files/{EXECUTION_ID}/out/hymn.md",
        }
    ],
    "nested_uploads": [],
    "nested_downloads": [],
    "upload_count": 0,
    "download_count": 1,
    **SLICE,
}
STORED_FILE = {"path": "out/hymn.md", "size": 1024, "last_modified": ENDED}
CONTENT = "# Ich wollte ich wäre ein Huhn\n"
STATUS = {
    "status": "finished",
    "timestamp": ENDED,
    "final": '{"Markdown":{"body":"**Hymn Title: Ich wollte ich wäre ein Huhn**"}}',
    "fid": EXECUTION_ID,
    "summary": "Hymn Creator",
    "description": "This agent creates a short hymn about a given topic...",
    "tags": ["Test", "CrewAi"],
    "deprecated": None,
    "author": "author@example.com",
    "organization": None,
    "version": "1.0.1",
    "kodosumi_version": None,
    "app_url": "http://localhost:8001",
    "base_url": "/-/localhost/8001/hymn/-/",
    "entry_point": "hymn.app:crew",
    "username": USER_ID,
    "locks": [],
}
RAW = {"Text": {"body": "Processing completed successfully."}}
HTML = "<!DOCTYPE html>\n<title>Hymn Creator</title>\n<main>Ich wollte ich wäre ein Huhn</main>"
CSV_OF_EXECUTIONS = (
    "fid,agent_name,user_id,user_name,status,start_time,end_time,runtime,upload_count,"
    "download_count,error,error_timestamp,summary,tags\r\n"
    f"{EXECUTION_ID},hymn-creator,{USER_ID},Grace Hopper,finished,{STARTED},{ENDED},20.71,0,1,,,"
    'Hymn Creator,"Test, CrewAi"\r\n'
)
CSV_OF_ERRORS = (
    "fid,agent_name,user_id,user_name,timestamp,error_type,message,fingerprint\r\n"
    f"{EXECUTION_ID},hymn-creator,{USER_ID},Grace Hopper,{ENDED},ValueError,"
    f"ValueError: Please give me a topic.,{FINGERPRINT}\r\n"
)
CSV_OF_GROUPS = (
    "fingerprint,error_type,message,agent_names,count,executions,users,first_seen,last_seen,state,"
    "resolved_at,resolved_by,note\r\n"
    f"{FINGERPRINT},ValueError,ValueError: Please give me a topic.,hymn-creator,3,2,1,"
    f"{STARTED},{ENDED},resolved,1747814400.0,grace.hopper@example.com,"
    "The form now asks for a topic.\r\n"
)
DELETED_OUTPUTS = {"fid": [EXECUTION_ID]}
STREAM_EVENT = {"id": "3", "event": "stdout", "data": f"{STARTED}:Writing the first verse"}
ITEM = {
    "fid": EXECUTION_ID,
    "tags": ["Test", "CrewAi"],
    "summary": "Hymn Creator",
    "inputs": {"dict": {"topic": "Ich wollte ich wäre ein Huhn."}},
    "status": "finished",
    "startup": "2025-05-21T07:52:56.091786Z",
    "finish": "2025-05-21T07:53:16.802532Z",
    "runtime": 20.71,
    "locks": [],
}
TIMELINE_PAGE = {
    "items": [ITEM],
    "query": None,
    "offset": EXECUTION_ID,
    "next_cursor": CURSOR,
}
TIMELINE_CHANGES = {
    "update": [ITEM],
    "delete": [],
    "timestamp": 1000000000926.0,
    "query": None,
}
TIMELINE_VIEW = {
    "total": 1,
    "origin": EXECUTION_ID,
    "offset": EXECUTION_ID,
    "timestamp": 1000000000926.0,
    "items": {"append": [ITEM], "insert": [], "update": [], "delete": []},
    "query": None,
}
