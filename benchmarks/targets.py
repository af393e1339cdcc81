"""Both ways of serving, each with a real server, and the response times of ordinary callers."""

import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import requests

from benchmarks.machine import family
from tests.live.deployment import Deployment, deployed
from tests.live.engine import Engine
from tests.live.fronts import PRODUCTION, nginx, unit

FRONTS = ("asgi", "nginx")
ORDINARY = ("/livez", "/api/v1/agents")
"""Harmless requests, anonymous and as an agent."""
SETTINGS = {"AGENTIDP_EXECUTIONS_PER_MINUTE": "100000"}
"""Lets all content be reported at once."""
MAX_SECONDS = 60
"""The timeout of a request in seconds."""
QUIET_WITHIN = 8


@dataclass(frozen=True)
class Target:
    """A deployment as its callers reach it; `roots` are the processes that serve them."""

    deployment: Deployment
    roots: tuple[int, ...]
    certificate: Path | None = None

    @property
    def url(self) -> str:
        return self.deployment.url

    def engine(self) -> Engine:
        return Engine(self.deployment, self.deployment.clients[0])

    def connect(self, window: int = 4096) -> socket.socket:
        """A connection with a small receive window."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.settimeout(MAX_SECONDS)
        client.connect(self.deployment.address)
        if not self.certificate:
            return client
        context = _tls(self.certificate)
        return context.wrap_socket(client, server_hostname="localhost")

    def ask(self, path: str, headers: dict[str, str]) -> socket.socket:
        """A connection that has sent this request and reads nothing of the response."""
        client = self.connect()
        lines = [f"GET {path} HTTP/1.1", f"Host: {urlsplit(self.url).netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        return client

    def seconds(self) -> float:
        """The processor seconds that its processes have used."""
        return sum(family(self.roots).values())

    def memory(self) -> "Memory":
        processes = [Path(f"/proc/{number}") for number in family(self.roots)]
        rollups = [(each / "smaps_rollup").read_text() for each in processes]
        statuses = [(each / "status").read_text() for each in processes]
        return Memory(
            resident=sum(_number("Rss", text) for text in rollups) * 1024,
            proportional=sum(_number("Pss", text) for text in rollups) * 1024,
            threads=sum(_number("Threads", text) for text in statuses),
        )

    def wait_until_quiet(self) -> None:
        """Wait until its processes are idle."""
        until, used = time.monotonic() + QUIET_WITHIN, self.seconds()
        while time.monotonic() < until:
            time.sleep(0.5)
            before, used = used, self.seconds()
            if used - before <= 0.02:
                return


@cache
def _tls(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def _number(name: str, text: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class Memory:
    """The memory of all processes of a front in bytes, with shared pages counted for each
    process and counted once, and the number of threads.
    """

    resident: int
    proportional: int
    threads: int


@contextmanager
def running_target(front: str) -> Iterator[Target]:
    """`asgi`: the server on a port, as the demonstration runs it. `nginx`: deploy/nginx.conf in
    front of the units of deploy/systemd/, with ordinary requests on Unix sockets with WSGI.
    """
    if front == "asgi":
        with deployed(durable=False, agents=1, settings=SETTINGS) as deployment:
            yield Target(deployment, (deployment.server.process.pid,))
        return
    with (
        tempfile.TemporaryDirectory(prefix="agentidp-nginx-") as name,
        deployed(durable=False, agents=1, settings=PRODUCTION | SETTINGS) as deployment,
        ExitStack() as stack,
    ):
        folder = Path(name)
        kinds = [(kind, number) for kind in ("requests", "streams") for number in (1, 2)]
        units = [stack.enter_context(unit(*each, deployment, folder)) for each in kinds]
        port = stack.enter_context(nginx(deployment, folder))
        certificate = folder / "certificate.pem"
        os.environ["REQUESTS_CA_BUNDLE"] = str(certificate)
        proxy = int((folder / "pid").read_text())
        yield Target(
            replace(deployment, url=f"https://localhost:{port}"),
            (*(each.process.pid for each in units), proxy),
            certificate,
        )


Times = dict[str, list[float]]
"""The response times in milliseconds by path."""


def ordinary(engine: Engine, number: int, goes_on: Callable[[], bool] = lambda: True) -> Times:
    """Measure harmless requests, one at a time, with alternating paths."""
    times: Times = {path: [] for path in ORDINARY}
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {engine.token}"
        for _ in range(number):
            for path, found in times.items():
                began = time.monotonic()
                answer = session.get(f"{engine.url}{path}", timeout=MAX_SECONDS)
                found.append((time.monotonic() - began) * 1000)
                answer.raise_for_status()
            if not goes_on():
                break
    return times


def p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]
