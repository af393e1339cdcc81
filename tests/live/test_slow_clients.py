"""Slow senders and readers do not delay others, and stalled ones are disconnected."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import requests

from tests.live.deployment import Deployment, deployed
from tests.live.engine import Engine
from tests.live.sockets import is_established

pytestmark = pytest.mark.slow

READER_TIMEOUT = 6
MAX_REQUEST_SECONDS = READER_TIMEOUT / 2
"""Generous for a busy machine, and half the delay that a thread blocked by a reader would cause."""
MB = 1024**2
FILE = 8 * MB
"""More than the operating system buffers for a connection."""
LARGEST_STATIC = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"

Connect = Callable[..., socket.socket]


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    settings = {"AGENTIDP_READER_TIMEOUT_SECONDS": str(READER_TIMEOUT)}
    with deployed(durable=False, agents=1, settings=settings) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def engine(running: Deployment) -> Engine:
    return Engine(running, running.clients[0])


@pytest.fixture
def connect(running: Deployment) -> Iterator[Connect]:
    """Open connections with a small window that have sent this many bytes."""
    with ExitStack() as stack:

        def connected(sent: bytes, window: int = 4096, source: str = "") -> socket.socket:
            client = stack.enter_context(socket.socket())
            client.bind((source, 0)) if source else None
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            client.settimeout(30)
            client.connect(running.address)
            client.sendall(sent)
            return client

        yield connected


def asking(engine: Engine, url: str) -> bytes:
    parts = urlsplit(url)
    head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    return f"{head}Authorization: Bearer {engine.token}\r\n\r\n".encode()


def has_begun(client: socket.socket) -> bool:
    return client.recv(12) == b"HTTP/1.1 200"


def slowest_good_request(engine: Engine) -> float:
    """The slowest of some ordinary requests made in sequence, in seconds."""
    headers = {"Authorization": f"Bearer {engine.token}"}
    seconds = []
    for path in ["/livez", "/api/v1/agents"] * 10:
        began = time.monotonic()
        answer = requests.get(f"{engine.url}{path}", headers=headers, timeout=60)
        seconds.append(time.monotonic() - began)
        assert answer.status_code == 200
    return max(seconds)


def wait_until_cut(clients: list[socket.socket]) -> None:
    until = time.monotonic() + READER_TIMEOUT + 20
    while any(is_established(client.getsockname()) for client in clients):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_unread_downloads_affect_nobody_and_end(
    engine: Engine, running: Deployment, connect: Connect
) -> None:
    ask = asking(engine, engine.upload("big.bin", FILE))
    slowest_good_request(engine)
    before = running.server.memory()
    clients = [connect(ask) for _ in range(64)]
    assert all(map(has_begun, clients))

    assert slowest_good_request(engine) < MAX_REQUEST_SECONDS

    assert running.server.memory() - before < 100 * MB
    wait_until_cut(clients)
    assert all(has_begun(connect(ask)) for _ in range(64))  # their resources were released


def test_readers_of_a_static_file_block_only_their_own_network(
    engine: Engine, running: Deployment, connect: Connect
) -> None:
    ask = f"GET {LARGEST_STATIC} HTTP/1.1\r\nHost: {urlsplit(engine.url).netloc}\r\n\r\n".encode()
    before = running.server.memory()
    clients = [connect(ask) for _ in range(64)]
    assert all(map(has_begun, clients))

    assert connect(ask).recv(12) == b"HTTP/1.1 503"
    assert has_begun(connect(ask, source="127.0.0.2"))
    assert slowest_good_request(engine) < MAX_REQUEST_SECONDS
    assert running.server.memory() - before < 64 * 300 * 1024 + 20 * MB

    wait_until_cut(clients)
    assert has_begun(connect(ask))


def test_a_complete_response_is_not_kept_for_a_client_that_does_not_read(
    engine: Engine, connect: Connect
) -> None:
    run = engine.another()
    final = {"text": "z" * 900_000}
    run.post(f"executions/{run.fid}/finish", {"status": "finished", "final": final})
    client = connect(asking(engine, f"{engine.url}/outputs/raw/{run.fid}"))
    assert has_begun(client)

    wait_until_cut([client])


def test_a_file_that_is_read_slowly_arrives_whole(engine: Engine, connect: Connect) -> None:
    client = connect(asking(engine, engine.upload("slow.bin", 3 * MB)), 64 * 1024)
    received = b""
    until = time.monotonic() + READER_TIMEOUT + 2
    while not received.endswith(bytes(3 * MB)) and (part := client.recv(256 * 1024)):
        received += part
        if time.monotonic() < until:
            time.sleep(0.3)

    assert received.partition(b"\r\n\r\n")[2] == bytes(3 * MB)


def test_a_download_ends_within_a_second_of_the_right_to_it(
    running: Deployment, connect: Connect
) -> None:
    engine = Engine(running, running.clients[0])
    client = connect(asking(engine, engine.upload("theirs.bin", 8 * FILE)), 64 * 1024)
    received = len(client.recv(64 * 1024))
    form = {"token": engine.token}
    bearer = {"Authorization": f"Bearer {engine.token}"}
    answer = requests.post(f"{engine.url}/api/v1/token/revoke", form, headers=bearer, timeout=30)
    assert answer.status_code == 200

    until = time.monotonic() + 1
    while time.monotonic() < until:  # so slowly that most of it is still to come
        received += len(client.recv(16 * 1024))
        time.sleep(0.05)
    try:
        while part := client.recv(256 * 1024):
            received += len(part)
    except ConnectionResetError:
        pass

    assert received < FILE


def test_bodies_that_never_arrive_affect_nobody(engine: Engine, connect: Connect) -> None:
    head = f"POST /api/v1/token HTTP/1.1\r\nHost: {urlsplit(engine.url).netloc}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
    for length, sent in [(900_000, 10), (900_000, 800_000), (3 * MB, MB // 2)] * 10:
        connect(f"{head}{length}\r\n\r\n".encode() + b"a" * sent)

    assert slowest_good_request(engine) < MAX_REQUEST_SECONDS


def test_connections_without_a_request_are_closed_within_15_seconds(
    engine: Engine, connect: Connect
) -> None:
    whole = f"GET /livez HTTP/1.1\r\nHost: {urlsplit(engine.url).netloc}\r\n\r\n".encode()
    half, one_and_half = whole[:-2] + b"X-Half: ", whole + b"GET /li"
    clients = [connect(sent) for sent in [b"", b"GET", half, whole, one_and_half] * 20]
    began = time.monotonic()

    assert slowest_good_request(engine) < MAX_REQUEST_SECONDS
    for client in clients:
        while client.recv(65536):
            pass

    assert time.monotonic() - began < 15
