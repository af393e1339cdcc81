"""Requests that arrived before a server is told to stop are served to the end.

For workers see test_kill_workers.py: a job that finishes within its grace period ends normally.
"""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.live.deployment import Deployment, deployed
from tests.live.fronts import HOST, PRODUCTION, Reply, Unit, parsed, unit

pytestmark = pytest.mark.slow

TLS = "X-Forwarded-Proto: https\r\nAgentidpForwardedProto: https\r\n"
CALLER = "X-Forwarded-For: 203.0.113.7\r\nAgentidpForwardedFor: 203.0.113.7\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
MB = 1024**2


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1, settings=PRODUCTION) as deployment:
        yield deployment


@pytest.fixture(params=["requests", "streams"])
def front(
    request: pytest.FixtureRequest, running: Deployment, tmp_path: Path
) -> Iterator[tuple[Unit, str]]:
    """An instance of a unit, and its socket."""
    with unit(request.param, 1, running, tmp_path) as found:
        yield found, str(tmp_path / f"{request.param}-1.sock")


class Connection:
    """A connection to a front, kept open."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.received = b""

    def send(self, line: str, headers: str = "", body: bytes = b"") -> None:
        head = f"{line} HTTP/1.1\r\nHost: {HOST}\r\n{TLS}{CALLER}{headers}"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.socket.sendall(f"{head}{length}\r\n".encode() + body)

    def until(self, text: bytes) -> None:
        """Read until this text has arrived."""
        while text not in self.received:
            part = self.socket.recv(65536)
            assert part, self.received[-500:]
            self.received += part

    def rest(self) -> Reply:
        """Read until the server closes the connection."""
        with self.socket:
            while part := self.socket.recv(65536):
                self.received += part
        return parsed(self.received)


def token(path: str, running: Deployment) -> str:
    client = running.clients[0]
    body = (
        f"grant_type=client_credentials&client_id={client.client_id}"
        f"&client_secret={client.client_secret}"
    )
    connection = Connection(path)
    connection.send("POST /api/v1/token", f"{FORM}Connection: close\r\n", body.encode())
    found: str = json.loads(connection.rest().body)["access_token"]
    return f"Authorization: Bearer {found}\r\n"


def call(path: str, line: str, headers: str, body: object) -> dict[str, str]:
    connection = Connection(path)
    kind = "Content-Type: application/json\r\nConnection: close\r\n"
    connection.send(line, headers + kind, json.dumps(body).encode())
    reply = connection.rest()
    assert reply.status in {200, 201}, reply.body
    found: dict[str, str] = json.loads(reply.body)
    return found


@contextmanager
def held(running: Deployment) -> Iterator[psycopg.Connection]:
    """Lock every execution during the block, so that all writers wait."""
    with psycopg.connect(running.cluster.url) as connection:
        organization = running.clients[0].organization_id
        connection.execute("SELECT set_config('app.organization_id', %s, false)", [organization])
        connection.execute("SELECT 1 FROM executions_execution FOR UPDATE")
        yield connection
        connection.rollback()


def wait_for_a_waiter(running: Deployment) -> None:
    until = time.monotonic() + 30
    with psycopg.connect(running.cluster.url, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert time.monotonic() < until


def test_a_request_in_progress_is_answered_by_a_stopping_server(
    running: Deployment, front: tuple[Unit, str]
) -> None:
    server, path = front
    bearer = token(path, running)
    fid = call(path, "POST /api/v1/executions", bearer, {"summary": "A run"})["executionId"]
    report = {"events": [{"kind": "stdout", "message": "said while it stopped"}]}
    idle, under_way = Connection(path), Connection(path)
    idle.send("GET /livez")
    idle.until(b'"ok"')

    with held(running) as locks, ThreadPoolExecutor(1) as pool:
        kind = "Content-Type: application/json\r\n"
        line = f"POST /api/v1/executions/{fid}/events"
        under_way.send(line, bearer + kind, json.dumps(report).encode())
        wait_for_a_waiter(running)
        stopping = pool.submit(server.stop)
        idle.rest()  # a stopping server closes idle connections
        assert server.process.poll() is None
        assert under_way.received == b""
        locks.rollback()
        reply = under_way.rest()
        stopping.result()

    assert reply.status == 200, reply.body
    assert server.process.returncode == 0
    server.start()
    events = Connection(path)
    events.send(f"GET /outputs/stdio/{fid}", bearer)
    events.until(b"said while it stopped")
    events.socket.close()


def test_a_stream_is_asked_to_reconnect_and_a_download_completes(
    running: Deployment, tmp_path: Path
) -> None:
    with unit("streams", 1, running, tmp_path) as server:
        path = str(tmp_path / "streams-1.sock")
        bearer = token(path, running)
        fid = call(path, "POST /api/v1/executions", bearer, {"summary": "A run"})["executionId"]
        size = 8 * MB
        new = {"area": "out", "path": "a.bin", "size": size}
        upload = call(path, f"POST /api/v1/executions/{fid}/files", bearer, new)["uploadId"]
        for first in range(0, size, MB):
            part = Connection(path)
            kind = "Content-Type: application/octet-stream\r\nConnection: close\r\n"
            span = f"Content-Range: bytes {first}-{first + MB - 1}/{size}\r\n"
            line = f"PUT /api/v1/executions/{fid}/uploads/{upload}"
            part.send(line, bearer + kind + span, bytes(MB))
            assert part.rest().status == 200
        stream, download = Connection(path), Connection(path)
        stream.send(f"GET /outputs/stream/{fid}", bearer)
        stream.until(b"event: ")
        download.send(f"GET /files/{fid}/out/a.bin", bearer)
        download.until(b"\r\n\r\n")
        assert len(download.received) < MB

        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(server.stop)
            stream.rest()  # the server has received the signal
            reply = download.rest()
            stopping.result()

        assert b"event: close" in stream.received
        assert b"Connect again." in stream.received
        assert (reply.status, len(reply.body)) == (200, size)
        assert server.process.returncode == 0
        server.start()
        again = Connection(path)
        again.send(f"GET /outputs/stream/{fid}", bearer)
        again.until(b"event: ")
        again.socket.close()
