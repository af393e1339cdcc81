"""The demonstration's server, and the HTTP checks of `make demo ARGS=--once`."""

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.templatetags.static import static

from core import server_options

START_TIMEOUT_SECONDS = 60
STOP_TIMEOUT_SECONDS = 5
RUN_GRACE_SECONDS = 2
RUN_TIMEOUT_SECONDS = 5
CHECK_INTERVAL_SECONDS = 2


@dataclass(frozen=True)
class Client:
    """The credential created with the demonstration data."""

    client_id: str
    client_secret: str


def require_free_port(host: str, port: int) -> None:
    """Fail early with one sentence if another process listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be used ({error.strerror}). Stop the program that listens "
                f'there, or choose another port: make demo ARGS="--port={port + 1}"'
            ) from None


@contextlib.contextmanager
def server(host: str, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server during the block, which starts once it is ready to respond."""
    base = f"http://{host}:{port}"
    command = [sys.executable, "-m", "granian", *server_options.ASGI]
    command += ["--host", host, "--port", str(port), "--workers", "1"]
    command += ["--log-level", "warning", "--workers-kill-timeout", str(STOP_TIMEOUT_SECONDS)]
    # Append, as the worker does, so that neither overwrites the other.
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "agentidp.asgi:application"],
            stdout=output,
            stderr=output,
            env=os.environ | {"AGENTIDP_DEMO": "1", "AGENTIDP_ISSUER": f"http://localhost:{port}"},
            start_new_session=True,  # Ctrl-C must not reach the server: we stop it in order.
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while fetch(f"{base}/readyz").status != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                last = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise CommandError(f"The server did not start: {' '.join(last)} (log: {log})")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS + 5)
        except subprocess.TimeoutExpired:
            process.kill()


class Worker:
    """Runs the demonstration's jobs, and is replaced if it is lost."""

    def __init__(self, log: Path, port: int) -> None:
        self.log, self.issuer = log, f"http://localhost:{port}"

    def __enter__(self) -> "Worker":
        self._start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(RUN_GRACE_SECONDS + 15)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def keep(self) -> None:
        """Restart the worker if it has ended."""
        if self.process.poll() is not None:
            self._start()

    def _start(self) -> None:
        command = [sys.executable, "manage.py", "worker", "--grace", str(RUN_GRACE_SECONDS)]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                cwd=settings.BASE_DIR,
                env=os.environ | {"AGENTIDP_DEMO": "1", "AGENTIDP_ISSUER": self.issuer},
                start_new_session=True,
            )


def watch(server: subprocess.Popen[bytes], worker: Worker) -> int:
    """Wait until the server ends, keeping a worker alive; return the server's exit code."""
    while True:
        try:
            return server.wait(CHECK_INTERVAL_SECONDS)
        except subprocess.TimeoutExpired:
            worker.keep()


@dataclass(frozen=True)
class Response:
    """A response; status 0 if the connection failed."""

    status: int
    body: bytes = b""

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str,
    form: dict[str, str] | None = None,
    authorization: str | None = None,
    body: Any = None,
) -> Response:
    """One HTTP request, as curl would send it: with a form, with `body` as JSON, or neither."""
    data = urllib.parse.urlencode(form).encode() if form else None
    headers = {"Authorization": authorization} if authorization else {}
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - a known URL
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return Response(response.status, response.read())
    except urllib.error.HTTPError as error:
        return Response(error.code, error.read())
    except OSError:
        return Response(0)


def check(base: str, client: Client) -> Iterator[tuple[str, bool]]:
    """Use the running product as a visitor would; yield each check and whether it succeeded."""
    secret = base64.b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
    issued = fetch(
        f"{base}/api/v1/token",
        {"grant_type": "client_credentials"},
        f"Basic {secret}",
    )
    bearer = f"Bearer {_token(issued)}"
    yield "the login page answers", fetch(f"{base}/login").status == 200
    yield "the charts can be drawn", fetch(base + static("js/chart.js")).status == 200
    yield "an agent gets a token", bool(_token(issued))
    for name, path, authorization, status, has_expected_shape in (
        ("the public keys are published", "/.well-known/jwks.json", None, 200, _keys),
        ("without a token the analytics stay closed", "/api/v1/analytics/tokens", None, 401, _any),
        ("the trend has 30 days", "/api/v1/analytics/tokens?days=30", bearer, 200, _trend),
        ("the heatmap has busy hours", "/api/v1/analytics/agents/activity", bearer, 200, _heatmap),
        ("the month has active agents", "/api/v1/analytics/agents", bearer, 200, _agents),
    ):
        response = fetch(f"{base}{path}", authorization=authorization)
        yield name, response.status == status and _has_shape(response, has_expected_shape)


def check_executions(base: str, client: Client) -> Iterator[tuple[str, bool]]:
    """Report a run as an agent does, and check the runs of the worker."""
    issued = fetch(
        f"{base}/api/v1/token",
        {
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
        },
    )
    agent = f"Bearer {_token(issued)}"
    runs = f"{base}/api/v1/executions"
    made = fetch(runs, authorization=agent, body={"summary": "Hello"})
    yield "an agent reports a run", made.status == 201
    own = f"{runs}/{made.json()['executionId'] if made.status == 201 else ''}"
    ended = fetch(f"{own}/finish", authorization=agent, body={"status": "finished"})
    yield "and says how it ended", ended.status == 200
    password = {"email": "admin", "password": "admin"}
    person = fetch(f"{base}/api/v1/auth/login", body=password)
    token = person.json()["accessToken"] if person.status == 200 else ""
    key = fetch(f"{base}/api/login", body={"name": "admin", "password": "admin"})
    text = key.json()["KODOSUMI_API_KEY"] if key.status == 200 else ""
    listed = fetch(f"{base}/timeline/list", authorization=f"Bearer {text}")
    yield "a key of the panel opens the runs", listed.status == 200
    deadline = time.monotonic() + RUN_TIMEOUT_SECONDS
    while not (is_running := _is_running(runs, f"Bearer {token}")):
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    yield "the worker runs executions", is_running


def _is_running(runs: str, authorization: str) -> bool:
    response = fetch(f"{runs}?status=running", authorization=authorization)
    return response.status == 200 and response.json()["total"] > 0


def _token(issued: Response) -> str:
    return str(issued.json()["access_token"]) if issued.status == 200 else ""


def _has_shape(response: Response, has_expected_shape: Callable[[Any], bool]) -> bool:
    try:
        return has_expected_shape(response.json())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _any(body: Any) -> bool:
    return True


def _keys(body: Any) -> bool:
    return bool(body["keys"]) and all("d" not in key for key in body["keys"])


def _trend(body: Any) -> bool:
    return len(body["data"]) == 30 and _rows(body, "date", "count")


def _heatmap(body: Any) -> bool:
    return _rows(body, "dow", "hour", "count")


def _agents(body: Any) -> bool:
    return _rows(body, "agentId", "tokenCount")


def _rows(body: Any, *fields: str) -> bool:
    rows = body["data"]
    is_scoped = body["tenantId"].startswith("org-")
    return is_scoped and bool(rows) and all(set(fields) <= row.keys() for row in rows)
