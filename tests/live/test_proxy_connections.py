"""nginx as deploy/ configures it, while one network holds as many connections as it can get.

Where nothing listens behind it, a 502 shows that nginx has read a whole request.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import product
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from core.addresses import caller_network, plain_address, wider_network
from tests.live.fronts import HOST, nginx, tls

pytestmark = pytest.mark.slow

ROOM, LIMIT = 256, 64
SMALL = {
    "worker_processes auto;": "worker_processes 1;",
    "worker_connections 32768;": f"worker_connections {ROOM};",
    "limit_conn agentidp_networks 512;": f"limit_conn agentidp_networks {LIMIT};",
}
"""Sizes in the shipped proportions, so that few connections fill them."""
REQUEST = f"GET /livez HTTP/1.1\r\nHost: {HOST}\r\n".encode()


def begun(kind: str, port: int, folder: Path, stack: ExitStack) -> None:
    """A connection that does not get as far as a whole request; nginx may refuse it."""
    with suppress(OSError):
        if kind in {"silence", "byte"}:
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            plain.sendall(b"\x16" if kind == "byte" else b"")
            return
        client = stack.enter_context(tls(port, folder))
        client.sendall(REQUEST + (b"X-Half: " if kind == "head" else b"\r\n"))
        if kind == "idle":
            client.recv(12)


def status(port: int, folder: Path, source: str) -> str:
    """The status of a request from this address, or the name of the error."""
    try:
        with tls(port, folder, source) as client:
            client.sendall(REQUEST + b"Connection: close\r\n\r\n")
            return client.recv(12).decode()
    except OSError as error:
        return type(error).__name__


@pytest.mark.parametrize("kind", ["silence", "byte", "head", "idle"])
def test_the_connections_of_one_network_leave_room_for_others(kind: str, tmp_path: Path) -> None:
    with nginx(None, tmp_path, SMALL) as port, ExitStack() as stack:
        for _ in range(ROOM + LIMIT):
            begun(kind, port, tmp_path, stack)

        own, others = (status(port, tmp_path, source) for source in ("127.0.0.1", "127.0.0.2"))

        assert others == "HTTP/1.1 502"
        assert own != others, "these are more than one network may have"
        assert "worker_connections are not enough" not in (tmp_path / "error.log").read_text()


def test_who_does_not_begin_tls_is_cut_off_and_gets_the_place_back(tmp_path: Path) -> None:
    short = SMALL | {"preread_timeout 5s;": "preread_timeout 1s;"}
    with nginx(None, tmp_path, short) as port, ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            for _ in range(LIMIT)
        ]

        assert {client.recv(1) for client in waiting} == {b""}
        assert status(port, tmp_path, "127.0.0.1") == "HTTP/1.1 502"


NETWORKS = {
    "  location /static/ {": "  location = /networks { return 200 "
    '"$agentidp_network $agentidp_wider_network\\n"; }\n  location /static/ {'
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of an nginx that says which networks it counts for a caller at /networks."""
    found = tmp_path_factory.mktemp("nginx")
    with nginx(None, found, NETWORKS):
        yield found


def counted_as(address: str, folder: Path) -> tuple[str, str]:
    """What the site counts for a client of this address, which the listening part tells it."""
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(30)
        plain.connect(f"{folder}/https.sock")
        family, here = ("TCP6", "::1") if ":" in address else ("TCP4", "127.0.0.1")
        plain.sendall(f"PROXY {family} {address} {here} 1 443\r\n".encode())
        with context.wrap_socket(plain, server_hostname=HOST) as client:
            request = f"GET /networks HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
            client.sendall(request.encode())
            answer = b""
            while part := client.recv(4096):
                answer += part
    network, _, wider = answer.partition(b"\r\n\r\n")[2].decode().rstrip("\n").partition(" ")
    return network, wider


def test_nginx_counts_the_networks_that_agentidp_counts(folder: Path) -> None:
    """Zeros in every place, because nginx shortens them, and each network has many spellings."""
    spelled = ["2001:" + ":".join(groups) for groups in product(("0", "db8"), repeat=7)]
    spelled += ["203.0.113.7", "203.0.113.8", "::ffff:203.0.113.7"]
    spelled += ["2001:0db8:0000:0000:000A::1", "2001:DB8:0:0:ffff:ffff:ffff:ffff"]
    found = {address: counted_as(address, folder) for address in spelled}

    plain = {address: plain_address(address) for address in spelled}
    ours = {address: (caller_network(at), wider_network(at)) for address, at in plain.items()}
    for place in (0, 1):
        pairs = {(found[address][place], ours[address][place]) for address in spelled}
        assert len({theirs for theirs, _ in pairs}) == len(pairs)
        assert len({own for _, own in pairs}) == len(pairs)
    assert found["203.0.113.7"] == ("203.0.113.7", "")


FEW = 8
FEW_CALLERS = {"limit_conn agentidp_callers 256;": f"limit_conn agentidp_callers {FEW};"}


@contextmanager
def silent_server(folder: Path) -> Iterator[Queue[socket.socket]]:
    """A server of ordinary requests that takes each connection and answers none."""
    taken: Queue[socket.socket] = Queue()
    with socket.socket(socket.AF_UNIX) as listening, ExitStack() as stack:
        listening.bind(f"{folder}/requests-1.sock")
        listening.listen(4 * FEW)
        listening.settimeout(30)

        def take() -> None:
            with suppress(OSError):
                while True:
                    taken.put(stack.enter_context(listening.accept()[0]))

        thread = Thread(target=take)
        thread.start()
        yield taken
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("path", ["/agents", "/login"])
def test_requests_that_are_taken_back_count_until_they_are_done(path: str, tmp_path: Path) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with nginx(None, tmp_path, FEW_CALLERS) as port, silent_server(tmp_path) as taken:
        for _ in range(FEW):
            with tls(port, tmp_path) as client:
                client.sendall(request)
                kept = taken.get(timeout=30)
                kept.recv(1)

        with tls(port, tmp_path) as client:
            client.sendall(request)
            assert client.recv(12) == b"HTTP/1.1 503"
        assert taken.empty()
        with tls(port, tmp_path, "127.0.0.2") as client:
            client.sendall(request)
            taken.get(timeout=30)
