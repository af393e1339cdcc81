"""Requests designed to be expensive, and measuring the processor time and memory that they cost."""

import base64
import http.client
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.machine import family
from tests.live.deployment import PAGE, Deployment, OAuthClient
from tests.live.engine import Engine
from tests.live.fronts import wait_for, wsgi_server

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MEGABYTE = 1024 * 1024
AT_ONCE = 20
THREADS = 8
LARGE = 1_000_000
"""Bytes, slightly less than the maximum size of a body."""


Address = str | tuple[str, int]
"""A Unix socket's path, or host and port."""


@dataclass(frozen=True)
class Front:
    """A server of the deployment: its address and its supervisor process."""

    address: Address
    process: int

    def memory(self) -> int:
        """The memory of its processes in bytes."""
        processes = family([self.process])
        return PAGE * sum(int(Path(f"/proc/{n}/statm").read_text().split()[1]) for n in processes)

    def seconds(self) -> float:
        """The processor seconds that its processes have used."""
        return sum(family([self.process]).values())


@contextmanager
def front(deployment: Deployment, interface: str) -> Iterator[Front]:
    """The deployment's own server, or one for ordinary requests beside it, with one worker."""
    if interface == "asgi":
        yield Front(deployment.address, deployment.server.process.pid)
        return
    path = str(deployment.log.with_name("requests.sock"))
    with wsgi_server(deployment, "--uds", path, workers=1, threads=THREADS) as process:
        wait_for(path)
        yield Front(path, process.pid)


ANONYMOUS = ("/api/v1/auth/login", "/api/v1/invitations/accept", "/api/v1/auth/refresh")
MAX_ANONYMOUS_BYTES = 64 * 1024


@dataclass(frozen=True)
class Attack:
    """An expensive request, and the status that it must get."""

    name: str
    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict, hash=False)
    statuses: tuple[int, ...] = (400,)


@dataclass(frozen=True)
class Cost:
    """The server's `cpu_ms` per request; `kept` and `answer` are in bytes."""

    cpu_ms: float
    kept: int
    answer: int
    statuses: frozenset[int]


def attacks(deployment: Deployment, client: OAuthClient) -> list[Attack]:
    """Attacks with every kind of body on every kind of parser; the first half is anonymous."""
    engine = Engine(deployment, client)
    pair = base64.b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
    return [*_anonymous(deployment), *_authenticated(engine, f"Basic {pair}")]


def _anonymous(deployment: Deployment) -> Iterator[Attack]:
    login, accept = ANONYMOUS[:2]
    page = form_page(deployment.address, "/login")
    yield _json("80,000 names", login, _names(80_000))
    yield _json("49,000 names", login, _names(49_000))
    yield _json("9,000 names", accept, _names(9_000))
    yield _json("9,000 long names", login, _names(9_000, 90))
    yield _json("50,000 items", login, [1] * 50_000)
    yield _json("24,000 items in a field", login, {"email": [{}] * 24_000, "password": "x"})
    yield _raw("depth of 500,000", login, b"[" * 500_000 + b"]" * 500_000)
    yield _raw(
        "depth of 64, often", login, b"[" + b",".join([b"[" * 63 + b"]" * 63] * 7_900) + b"]"
    )
    yield _raw("340,000 objects", login, b"[" + b",".join([b"{}"] * 340_000) + b"]")
    yield _raw("a megabyte cut off", login, b'{"email": "' + b"x" * LARGE)
    yield _raw("a megabyte of NUL", login, b'{"email": "' + rb"\u0000" * 170_000 + b'"}')
    yield _raw("a megabyte of no UTF-8", login, b"\xff" * LARGE)
    yield _json("a megabyte of text", login, {"email": "x" * LARGE, "password": "x"})
    yield _json("a megabyte as refresh token", ANONYMOUS[2], {"refreshToken": "x" * LARGE})
    yield _form("5,000 parameters to the token endpoint", "/api/v1/token", 5_000)
    yield _form("150 long parameters to the token endpoint", "/api/v1/token", 150, length=400)
    yield Attack(
        "a megabyte to the token endpoint",
        "POST",
        "/api/v1/token",
        b"scope=" + b"x" * LARGE,
        {"Content-Type": FORM},
        (400, 413),
    )
    yield _form("5,000 fields to a page", "/login", 5_000, page, (400, 403))
    yield Attack(
        "a megabyte to a page",
        "POST",
        "/login",
        page.body + b"&password=x&email=" + b"x" * LARGE,
        page.headers,
        (413,),
    )
    yield _multipart("5,000 parts to a page", "/login", page, 5_000)
    yield Attack(
        "5,000 parameters in the query", "GET", "/login?" + query_of(5_000), statuses=(414,)
    )
    yield Attack("a long next", "GET", "/login?next=/" + "x" * 60_000, statuses=(414,))
    yield Attack("a long way to the sign-in", "GET", "/agents?q=" + "%22" * 9_000, statuses=(414,))
    yield Attack("a long path", "GET", "/" + "x" * 60_000, statuses=(404,))
    for name, strange in {
        "a Content-Type of semicolons": "text/plain" + ";" * 60_000,
        "another encoding": "text/plain; charset=zlib",
        "an encoding that is none": "text/plain; a*=none''b",
    }.items():
        yield Attack(name, "GET", "/login", headers={"Content-Type": strange}, statuses=(415,))
    yield Attack(
        "long headers",
        "GET",
        "/login",
        headers={f"X-Long-{number}": "x" * 4_000 for number in range(15)},
        statuses=(200, 400, 431),
    )
    yield Attack(
        "1,000 cookies",
        "GET",
        "/login",
        headers={"Cookie": "; ".join(f"c{number}={'x' * 40}" for number in range(1_000))},
        statuses=(200, 400, 431),
    )
    yield Attack(
        "a long bearer token",
        "GET",
        "/api/v1/agents",
        headers={"Authorization": "Bearer " + "x." * 30_000},
        statuses=(401,),
    )


def _authenticated(engine: Engine, basic: str) -> Iterator[Attack]:
    bearer = {"Authorization": f"Bearer {engine.token}"}
    executions = "/api/v1/executions"
    events = f"{executions}/{engine.fid}/events"
    yield _json("24,000 bad items", executions, {"tags": [{}] * 24_000}, bearer)
    yield _json("9,000 names, known caller", executions, _names(9_000), bearer)
    yield _json("50,000 events", events, {"events": [{}] * 50_000}, bearer)
    batch = [*_lines(900), {"kind": 1}]
    yield _json("a batch with one bad event", events, {"events": batch}, bearer)
    yield Attack(
        "150 parameters in the query",
        "GET",
        "/api/v1/agents?" + query_of(150),
        headers=bearer,
    )
    yield Attack(
        "5,000 parameters to introspection",
        "POST",
        "/api/v1/token/introspect",
        query_of(5_000).encode(),
        {"Content-Type": FORM, "Authorization": basic},
    )
    yield Attack(
        "a megabyte to introspection",
        "POST",
        "/api/v1/token/introspect",
        b"token=" + b"x" * LARGE,
        {"Content-Type": FORM, "Authorization": basic},
        (400, 413),
    )


def _names(number: int, length: int = 0) -> dict[str, int]:
    return {f"k{each}{'x' * length}": 1 for each in range(number)}


def _lines(number: int) -> list[dict[str, str]]:
    return [{"kind": "stdout", "message": "x" * 1_000}] * number


def _json(name: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Attack:
    return _raw(name, path, json.dumps(body, separators=(",", ":")).encode(), headers)


def _raw(name: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> Attack:
    is_too_large = path in ANONYMOUS and len(body) > MAX_ANONYMOUS_BYTES
    statuses = (413,) if is_too_large else (400,)
    return Attack(name, "POST", path, body, {"Content-Type": JSON, **(headers or {})}, statuses)


def _form(
    name: str,
    path: str,
    number: int,
    page: "FormPage | None" = None,
    statuses: tuple[int, ...] = (400, 413),
    length: int = 1,
) -> Attack:
    start = page.body + b"&" if page else b""
    headers = page.headers if page else {"Content-Type": FORM}
    return Attack(name, "POST", path, start + query_of(number, length).encode(), headers, statuses)


def query_of(number: int, length: int = 1) -> str:
    return "&".join(f"a{each}={'x' * length}" for each in range(number))


def _multipart(name: str, path: str, page: "FormPage", number: int) -> Attack:
    part = '--b\r\nContent-Disposition: form-data; name="a{}"\r\n\r\nx\r\n'
    parts = "".join(part.format(each) for each in range(number))
    headers = page.headers | {"Content-Type": "multipart/form-data; boundary=b"}
    return Attack(name, "POST", path, f"{parts}--b--\r\n".encode(), headers, (413,))


@dataclass(frozen=True)
class FormPage:
    """The tokens and cookies that a browser sends with a page's form."""

    headers: dict[str, str]
    body: bytes


def form_page(address: tuple[str, int], path: str) -> FormPage:
    connection = http.client.HTTPConnection(*address, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    text, cookie = answer.read().decode(), answer.headers["Set-Cookie"].partition(";")[0]
    connection.close()
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)
    assert found
    body = urlencode({"csrfmiddlewaretoken": found[1]}).encode()
    return FormPage({"Content-Type": FORM, "Cookie": cookie}, body)


class _Connection(http.client.HTTPConnection):
    """An HTTP connection, possibly over a Unix socket."""

    def __init__(self, address: Address) -> None:
        super().__init__("localhost", timeout=60)
        self._address = address

    def connect(self) -> None:
        if isinstance(self._address, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(60)
            self.sock.connect(self._address)
        else:
            self.sock = socket.create_connection(self._address, 60)


class Client:
    """A persistent connection, reopened when the server has closed it."""

    def __init__(self, address: Address) -> None:
        self._connection = _Connection(address)

    def send(self, attack: Attack) -> tuple[int, int]:
        """Send the attack; return the status and the size of the response in bytes."""
        try:
            return self._send(attack)
        except (http.client.HTTPException, ConnectionError):
            self._connection.close()
            return self._send(attack)

    def _send(self, attack: Attack) -> tuple[int, int]:
        # A body that is too long is refused while it is still being sent.
        with suppress(ConnectionError):
            self._connection.request(
                attack.method, attack.path, attack.body or None, attack.headers
            )
        answer = self._connection.getresponse()
        return answer.status, len(answer.read()) + len(str(answer.headers))

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _clients(address: Address) -> Iterator[list[Client]]:
    made = [Client(address) for _ in range(AT_ONCE)]
    try:
        yield made
    finally:
        for client in made:
            client.close()


def run_attack(front: Front, attack: Attack, in_a_row: int, at_once: int = 1) -> Cost:
    """Send the attack in sequence, then `at_once` times from each of many clients in parallel."""
    memory, began = front.memory(), front.seconds()
    with _clients(front.address) as callers, ThreadPoolExecutor(AT_ONCE) as threads:
        answers = [callers[0].send(attack) for _ in range(in_a_row)]
        rounds = threads.map(lambda each: [each.send(attack) for _ in range(at_once)], callers)
        answers += [answer for found in rounds for answer in found]
    used = front.seconds() - began
    send_ordinary_requests(front)
    return Cost(
        cpu_ms=used / len(answers) * 1000,
        kept=front.memory() - memory,
        answer=max(size for _, size in answers),
        statuses=frozenset(status for status, _ in answers),
    )


def send_ordinary_requests(front: Front, times: int = 1) -> None:
    """Send ordinary requests from many clients in parallel, to give every thread work."""
    usual = Attack("as usual", "GET", "/login", statuses=(200,))
    with _clients(front.address) as callers, ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in range(times):
            found = threads.map(lambda caller: caller.send(usual)[0], callers)
            assert set(found) == {200}
