"""An agent that reports a run over HTTP, to have something to follow."""

import asyncio
from copy import copy

import requests

from tests.live.deployment import Deployment, OAuthClient


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

    def say(self, number: int, message: str = "x") -> None:
        events = [{"kind": "stdout", "message": f"{message} {n}"} for n in range(number)]
        self.post(f"executions/{self.fid}/events", {"events": events})

    def finish(self) -> None:
        self.post(f"executions/{self.fid}/finish", {"status": "finished"})

    async def say_all(self, batches: int, each: int) -> None:
        for _ in range(batches):
            await asyncio.to_thread(self.say, each)
        await asyncio.to_thread(self.finish)
