"""What a run reported, and the page that shows it."""

import json
from typing import Any

from executions.event_log import NewEvent
from executions.models import Execution, now


def event(kind: str, message: str, seconds: float = 1.0) -> NewEvent:
    return NewEvent(now() - 60 + seconds, kind, message)


def markdown(body: str) -> str:
    return json.dumps({"Markdown": {"body": body}})


def page_of(browser: Any, execution: Execution, path: str = "") -> str:
    response = browser.get(f"/executions/{execution.fid}{path}")
    assert response.status_code == 200
    text: str = response.content.decode()
    return text
