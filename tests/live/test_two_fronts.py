"""The server on a port and the one behind the proxy respond identically, byte for byte."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.live.deployment import Deployment, deployed, free_port
from tests.live.fronts import HOST, PRODUCTION, Reply, ask, wait_for, wsgi_server

pytestmark = pytest.mark.slow

PROXY, FORGED = "203.0.113.7", "198.51.100.66"
TLS = "X-Forwarded-Proto: https\r\nAgentidpForwardedProto: https\r\n"
CALLER = f"X-Forwarded-For: {PROXY}\r\nAgentidpForwardedFor: {PROXY}\r\n"

Address = str | tuple[str, int]


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1, settings=PRODUCTION) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def wsgi(running: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = str(tmp_path_factory.mktemp("wsgi") / "requests.sock")
    with wsgi_server(running, "--uds", path):
        wait_for(path)
        yield path


@pytest.fixture(params=["asgi", "wsgi"])
def front(request: pytest.FixtureRequest, running: Deployment) -> Address:
    """The address to which the proxy connects. Both servers receive its headers in both forms."""
    if request.param == "asgi":
        return running.address
    path: str = request.getfixturevalue("wsgi")
    return path


def sent(line: str, headers: str = "", body: bytes = b"") -> bytes:
    head = f"{line} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode("latin-1") + body


def asks_for_token(running: Deployment, headers: str) -> bytes:
    client = running.clients[0]
    pair = base64.b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
    body = b"grant_type=client_credentials"
    own = f"Authorization: Basic {pair}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    own += f"Content-Length: {len(body)}\r\n"
    return sent("POST /api/v1/token", own + headers, body)


def newest_address(running: Deployment) -> str:
    """The caller's address as recorded by the last token request."""
    with psycopg.connect(running.cluster.url) as connection:
        organization = running.clients[0].organization_id
        connection.execute("SELECT set_config('app.organization_id', %s, true)", [organization])
        rows = "SELECT host(ip_address) FROM tokens_tokenevent ORDER BY created_at DESC LIMIT 1"
        (found,) = connection.execute(rows).fetchone() or ("",)
        return str(found)


SPELLINGS = ["X_Forwarded_For", "X-Forwarded_For", "X_Forwarded-For", "x_forwarded_for"]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("name", SPELLINGS)
def test_no_spelling_of_a_header_passes_for_the_address_that_the_proxy_tells(
    running: Deployment, front: Address, name: str, is_first: bool
) -> None:
    forged = f"{name}: {FORGED}\r\n"
    headers = forged + CALLER if is_first else CALLER + forged

    reply = ask(front, asks_for_token(running, TLS + headers))

    assert reply.status == 200, reply.body
    assert newest_address(running) == PROXY


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("name", ["X_Forwarded_Proto", "X-Forwarded_Proto", "X_Forwarded-Proto"])
@pytest.mark.parametrize(
    ("true", "forged", "status"), [("http", "https", 403), ("https", "http", 200)]
)
def test_no_spelling_of_a_header_passes_for_the_scheme_that_the_proxy_tells(
    front: Address, name: str, true: str, forged: str, status: int, is_first: bool
) -> None:
    lines = [TLS.replace("https", true), f"{name}: {forged}\r\n"]
    headers = "".join(reversed(lines) if is_first else lines)

    reply = ask(front, sent("GET /login", headers))

    assert reply.status == status, reply.body[:200]


def test_the_server_behind_the_proxy_believes_no_header_that_a_client_can_send(wsgi: str) -> None:
    assert ask(wsgi, sent("GET /login", "X-Forwarded-Proto: https\r\n")).status == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content_Length", "4000000"),
        ("Transfer_Encoding", "chunked"),
        ("X_Request_Id", "forged-by-the-caller"),
        ("Content_Type", "text/plain"),
        ("Accept_", "x"),
    ],
)
def test_a_name_with_underscores_changes_nothing(
    running: Deployment, front: Address, name: str, value: str
) -> None:
    reply = ask(front, asks_for_token(running, TLS + CALLER + f"{name}: {value}\r\n"))

    assert reply.status == 200, reply.body
    assert reply.headers["x-request-id"] != value


@pytest.mark.parametrize("name", ["KODOSUMI_API_KEY", "kodosumi-api-key"])
def test_the_header_of_kodosumi_is_read_in_both_spellings(
    running: Deployment, front: Address, name: str
) -> None:
    issued = ask(front, asks_for_token(running, TLS + CALLER)).body
    token = issued.partition(b'"access_token":')[2].split(b'"')[1].decode()

    with_key = ask(front, sent("GET /timeline/list", f"{TLS}{CALLER}{name}: {token}\r\n"))

    assert ask(front, sent("GET /timeline/list", TLS + CALLER)).status == 401
    assert with_key.status == 200, with_key.body


LARGE = 1024 * 1024 + 1
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
GUARDED = {
    "a large body": (
        sent("POST /api/v1/token", f"{TLS}{FORM}Content-Length: {LARGE}\r\n", b"a" * LARGE),
        413,
    ),
    "a body in chunks": (
        sent("POST /api/v1/token", f"{TLS}{FORM}Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        411,
    ),
    "a length and chunks": (
        sent(
            "POST /api/v1/token",
            f"{TLS}{FORM}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            b"0\r\n\r\n",
        ),
        411,
    ),
    "a length that is none": (sent("POST /api/v1/token", f"{TLS}Content-Length: -1\r\n"), 400),
    "two lengths": (
        sent("POST /api/v1/token", f"{TLS}Content-Length: 1\r\nContent-Length: 2\r\n", b"ab"),
        400,
    ),
    "another host": (sent("GET /login", TLS).replace(HOST.encode(), b"evil.example"), 400),
    "a probe by address": (sent("GET /readyz").replace(HOST.encode(), b"127.0.0.1:8001"), 200),
    "NUL in the path": (sent("GET /login%00", TLS), 404),
    "NUL in the query": (sent("GET /login?a=%00", TLS), 400),
    "TRACE": (sent("TRACE /login", TLS), 405),
    "a folded line": (sent("GET /login", f"{TLS}X-A: b\r\n c\r\n"), 400),
    "a large head": (sent("GET /login", f"{TLS}Cookie: {'a' * 300_000}\r\n"), 431),
    "plain HTTP": (sent("GET /login"), 403),
    "HEAD": (sent("HEAD /login", TLS), 200),
    "a static file": (sent("GET /static/no-such-file.js", TLS), 404),
    "no such page": (sent("GET /nowhere", TLS), 404),
}


@pytest.mark.parametrize("what", GUARDED)
def test_both_guard_against(front: Address, what: str) -> None:
    request, status = GUARDED[what]

    reply = ask(front, request)

    assert reply.status == status, reply.body[:300]
    if what == "HEAD":
        assert reply.body == b""


BROKEN_CHUNKS = {
    "a size that is no number": b"ZZ\r\nabc\r\n0\r\n\r\n",
    "a negative size": b"-1\r\n\r\n",
    "a size beyond 64 bits": b"FFFFFFFFFFFFFFFFF\r\n",
    "no size": b"\r\n",
    "more than its size": b"5\r\nabcdeXX0\r\n\r\n",
    "a trailer that is none": b"5\r\nabcde\r\n0\r\nBad\x00: y\r\n\r\n",
}


@pytest.mark.parametrize("line", ["POST /api/v1/auth/login", "POST /login", "DELETE /outputs"])
@pytest.mark.parametrize("what", BROKEN_CHUNKS)
def test_a_body_in_broken_chunks_is_refused_in_our_own_words(
    front: Address, what: str, line: str
) -> None:
    head = f"{TLS}{CALLER}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"

    reply = ask(front, sent(line, head, BROKEN_CHUNKS[what]))

    # 411: refused because of its headers, before the body is read.
    assert reply.status in {400, 411}, reply.body[:200]
    assert re.search(rb'\{"code": "[A-Z_]+", "message": "[^"]+"\}', reply.body), reply.body[:200]


def test_a_body_that_ends_too_early_is_refused_while_its_sender_hears(running: Deployment) -> None:
    head = f"{TLS}{CALLER}Content-Type: application/json\r\nContent-Length: 50\r\n"

    reply = ask(running.address, sent("POST /api/v1/auth/login", head, b"{}"), is_half_closed=True)

    assert reply.status == 400
    assert json.loads(reply.body)["code"] == "VALIDATION_ERROR"


def test_a_wsgi_server_on_a_port_serves_nobody(running: Deployment) -> None:
    address = ("127.0.0.1", free_port())
    with wsgi_server(running, "--port", str(address[1])):
        wait_for(address)

        replies: list[Reply] = [
            ask(address, sent(line, TLS + CALLER)) for line in ("GET /livez", "GET /login")
        ]

    assert [reply.status for reply in replies] == [403, 403]
    assert b"--interface asgi" in replies[0].body


def test_the_documented_commands_are_the_tested_ones() -> None:
    from core import server_options

    page = Path(__file__).parents[2] / "docs" / "how-to" / "deploy.md"
    commands = " ".join(page.read_text().replace("\\\n", " ").split())

    assert f"granian {' '.join(server_options.WSGI)} " in commands
    assert f"granian {' '.join(server_options.ASGI)} " in commands
