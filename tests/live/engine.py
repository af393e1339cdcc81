"""An agent that reports a run over HTTP, for tests that follow one."""

import asyncio
from copy import copy

import requests

from tests.live.deployment import Deployment, OAuthClient

PART = 1024 * 1024


class Engine:
    """An agent that reports a run."""

    def __init__(self, deployment: Deployment, client: OAuthClient) -> None:
        self.url = deployment.url
        pair = (client.client_id, client.client_secret)
        answer = requests.post(
            f"{self.url}/api/v1/token",
            data={"grant_type": "client_credentials"},
            auth=pair,
            timeout=30,
        )
        self.token: str = answer.json()["access_token"]
        self.begin()

    def begin(self) -> None:
        self.fid = self.post("executions", {"summary": "A long run"})["executionId"]

    def another(self) -> "Engine":
        """The same agent with another run."""
        other = copy(self)
        other.begin()
        return other

    @property
    def stream(self) -> str:
        return f"{self.url}/outputs/stream/{self.fid}"

    def post(self, path: str, body: object) -> dict[str, str]:
        answer = requests.post(
            f"{self.url}/api/v1/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
        assert answer.ok, answer.text
        found: dict[str, str] = answer.json()
        return found

    def upload(self, path: str, size: int) -> str:
        """The URL of a file of zeros that the run made."""
        new = {"area": "out", "path": path, "size": size}
        upload = self.post(f"executions/{self.fid}/files", new)["uploadId"]
        for first in range(0, size, PART):
            last = min(first + PART, size) - 1
            answer = requests.put(
                f"{self.url}/api/v1/executions/{self.fid}/uploads/{upload}",
                data=bytes(last - first + 1),
                headers={
                    "Authorization": f"Bearer {self.token}",
                    "Content-Type": "application/octet-stream",
                    "Content-Range": f"bytes {first}-{last}/{size}",
                },
                timeout=30,
            )
            assert answer.ok, answer.text
        return f"{self.url}/files/{self.fid}/out/{path}"

    def say(self, number: int, message: str = "x") -> None:
        events = [{"kind": "stdout", "message": f"{message} {n}"} for n in range(number)]
        self.post(f"executions/{self.fid}/events", {"events": events})

    def finish(self) -> None:
        self.post(f"executions/{self.fid}/finish", {"status": "finished"})

    async def say_all(self, batches: int, each: int) -> None:
        for _ in range(batches):
            await asyncio.to_thread(self.say, each)
        await asyncio.to_thread(self.finish)
