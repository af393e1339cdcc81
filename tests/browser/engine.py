"""An engine that runs executions and reports them over the API, as a user's would."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from playwright.sync_api import APIRequestContext

HOSTILE = "<img src=x onerror=alert(1)>"
TRACE = 'Traceback (most recent call last):\n  File "/opt/flows.py", line 3, in run\n    read()\n'


@dataclass(frozen=True)
class Engine:
    """An engine with the credential of an agent."""

    api: APIRequestContext
    token: str

    @classmethod
    def of(cls, api: APIRequestContext, client_id: str, client_secret: str) -> "Engine":
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        return cls(api, api.post("/api/v1/token", form=form).json()["access_token"])

    def start(self, **fields: Any) -> str:
        """Start an execution; return its id."""
        found: str = self._send("/api/v1/executions", fields)["executionId"]
        return found

    def report(self, execution: str, *events: tuple[str, Any], at: datetime | None = None) -> None:
        when = {"timestamp": at.timestamp()} if at else {}
        sent = [{"kind": kind, "message": message} | when for kind, message in events]
        self._send(f"/api/v1/executions/{execution}/events", {"events": sent})

    def finish(self, execution: str, **fields: Any) -> None:
        self._send(f"/api/v1/executions/{execution}/finish", {"status": "finished", **fields})

    def make_file(self, execution: str, path: str, content: bytes) -> None:
        described = {"area": "out", "path": path, "size": len(content)}
        upload = self._send(f"/api/v1/executions/{execution}/files", described)
        answer = self.api.put(
            f"/api/v1/executions/{execution}/uploads/{upload['uploadId']}",
            data=content,
            headers=self._headers | {"Content-Type": "application/octet-stream"},
        )
        assert answer.ok, answer.text()

    def _send(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.api.post(path, data=body, headers=self._headers)
        assert answer.ok, answer.text()
        return answer.json()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}
