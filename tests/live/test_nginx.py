"""The proxy configuration deploy/nginx.conf in a real nginx, in front of both servers."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import product
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from tests.endpoints import ENDPOINTS
from tests.live.deployment import OWNER, OWNER_PASSWORD, Deployment, deployed
from tests.live.fronts import HOST, PRODUCTION, Unit, nginx, tls, unit
from tests.routes import SOME_ID, names_in

pytestmark = pytest.mark.slow

MB = 1024**2
WAIT = {"AGENTIDP_WAIT_FOR_JOB_SECONDS": "1"}
THREADS = 2 * 8  # of the servers behind


class Client:
    """Calls the deployment through the proxy as HOST."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Host"] = HOST
        self.session.verify = str(folder / "certificate.pem")

    def __call__(self, method: str, path: str, **how: Any) -> requests.Response:
        url = f"https://localhost:{self.port}{path}"
        return self.session.request(method, url, timeout=30, allow_redirects=False, **how)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with deployed(durable=False, agents=1, settings=PRODUCTION | WAIT) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def units(running: Deployment, folder: Path) -> Iterator[list[Unit]]:
    with ExitStack() as stack:
        kinds = [(kind, number) for kind in ("requests", "streams") for number in (1, 2)]
        yield [stack.enter_context(unit(*each, running, folder)) for each in kinds]


@pytest.fixture(scope="module")
def client(running: Deployment, units: list[Unit], folder: Path) -> Iterator[Client]:
    with nginx(running, folder) as port:
        one = Client(port, folder)
        with one.session:
            yield one


@pytest.fixture(scope="module")
def bearer(client: Client, running: Deployment) -> dict[str, str]:
    agent = running.clients[0]
    answer = client(
        "POST",
        "/api/v1/token",
        data={"grant_type": "client_credentials"},
        auth=(agent.client_id, agent.client_secret),
    )
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def fid(client: Client, bearer: dict[str, str]) -> str:
    answer = client("POST", "/api/v1/executions", headers=bearer, json={"summary": "A run"})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["executionId"]
    return found


def test_pages_and_reads_come_through_compressed(client: Client, bearer: dict[str, str]) -> None:
    page = client("GET", "/login")
    rows = client("GET", "/api/v1/agents", headers=bearer)

    assert (page.status_code, rows.status_code) == (200, 200)
    assert page.headers["Content-Encoding"] == "gzip"
    assert page.headers["Strict-Transport-Security"]
    assert "Content-Security-Policy" in page.headers


@pytest.mark.parametrize("port", ["", ":8443"])
def test_a_form_is_taken_on_whatever_port_the_proxy_listens(
    running: Deployment, client: Client, folder: Path, port: str
) -> None:
    """The browser's Origin includes the port, and Django compares it with the host."""
    browser = Client(client.port, folder)
    browser.session.headers["Host"] = HOST + port
    page = browser("GET", "/login")
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    form = {"csrfmiddlewaretoken": token, "email": OWNER, "password": OWNER_PASSWORD}

    for named in ({"Referer": f"https://{HOST}{port}/login"}, {"Origin": f"https://{HOST}{port}"}):
        signed_in = browser("POST", "/login", data=form, headers={"Cookie": cookie} | named)

        assert signed_in.status_code == 302, (named, signed_in.status_code)
        assert signed_in.headers["Location"] == "/"


def test_a_file_goes_up_in_parts_and_comes_down_whole(
    client: Client, bearer: dict[str, str], fid: str
) -> None:
    upload = client(
        "POST",
        f"/api/v1/executions/{fid}/files",
        headers=bearer,
        json={"area": "out", "path": "a.bin", "size": 6 * MB},
    ).json()["uploadId"]
    for first in range(0, 6 * MB, MB):
        part = {"Content-Range": f"bytes {first}-{first + MB - 1}/{6 * MB}"}
        kind = {"Content-Type": "application/octet-stream"}
        path = f"/api/v1/executions/{fid}/uploads/{upload}"
        answer = client("PUT", path, headers=bearer | part | kind, data=bytes(MB))
        assert answer.status_code == 200, answer.text

    assert client("GET", f"/files/{fid}/out/a.bin", headers=bearer).content == bytes(6 * MB)


def test_a_stream_comes_while_it_is_written(
    client: Client, bearer: dict[str, str], fid: str
) -> None:
    with client("GET", f"/outputs/stream/{fid}", headers=bearer, stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        report = {"events": [{"kind": "stdout", "message": "told just now"}]}
        client("POST", f"/api/v1/executions/{fid}/events", headers=bearer, json=report)
        until = time.monotonic() + 20
        while b"told just now" not in next(lines):
            assert time.monotonic() < until


def test_an_address_without_a_slash_is_not_sent_elsewhere(
    client: Client, bearer: dict[str, str]
) -> None:
    answer = client("DELETE", "/outputs", headers=bearer, json={"fids": []})

    assert answer.status_code not in {301, 302, 307, 308}
    assert answer.headers["Content-Type"].startswith("application/json")


def test_refusals_are_the_products_own(client: Client) -> None:
    too_large = client("POST", "/api/v1/auth/login", data=b"a" * (MB + 1))
    other_host = client("GET", "/login", headers={"Host": "evil.example"})

    assert (too_large.status_code, other_host.status_code) == (413, 400)
    assert too_large.json()["message"]


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/outputs"])
def test_a_large_body_is_refused_in_json_and_breaks_no_connection(
    client: Client, path: str
) -> None:
    answers = [client("DELETE", path, data=b"a" * (2 * MB - 1000)) for _ in range(60)]

    assert {each.status_code for each in answers} == {413}
    assert all(each.json()["code"] == "PAYLOAD_TOO_LARGE" for each in answers)


@pytest.mark.parametrize(
    "name", ["X_Forwarded_Proto", "X-Forwarded-Proto", "AgentidpForwardedProto"]
)
def test_a_caller_cannot_tell_the_scheme(client: Client, name: str) -> None:
    for path in ("/login", "/timeline/list", "/files/x/in"):
        assert client("GET", path, headers={name: "http"}).status_code in {200, 401}


def test_slow_clients_hold_no_thread_behind_the_proxy(
    client: Client, bearer: dict[str, str], fid: str, folder: Path
) -> None:
    head = f"POST /api/v1/token HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 900000\r\n\r\n"
    ask = f"GET /files/{fid}/out/a.bin HTTP/1.1\r\nHost: {HOST}\r\n"
    ask += f"Authorization: {bearer['Authorization']}\r\n\r\n"
    with ExitStack() as stack:
        for sent in [head.encode() + b"a" * 1000, ask.encode()] * (THREADS + 4):
            stack.enter_context(tls(client.port, folder)).sendall(sent)
        began = time.monotonic()

        for _ in range(10):
            assert client("GET", "/api/v1/agents", headers=bearer).status_code == 200
            assert client("GET", "/livez").status_code == 200

        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/agents"), ("DELETE", "/outputs"), ("PUT", "/x")]
)
def test_a_request_that_times_out_is_not_retried_on_the_other_server(
    running: Deployment, tmp_path: Path, method: str, path: str
) -> None:
    """The servers accept every request and answer none."""
    impatient = {"proxy_read_timeout 90s": "proxy_read_timeout 1s"}
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(4)]
        for server, name in zip(silent, product(("requests", "streams"), (1, 2)), strict=True):
            server.bind(f"{tmp_path}/{name[0]}-{name[1]}.sock")
            server.listen()
            server.setblocking(False)
        client = Client(stack.enter_context(nginx(running, tmp_path, impatient)), tmp_path)
        stack.enter_context(client.session)

        answer = client(method, path)

        assert answer.status_code == 504
        assert sum(map(arrived, silent)) == 1


SECRET = "s3cr3tOfALink"
LINKS = ["password/reset/id", "email/confirm/id", "invitations/id"]


def test_the_log_has_no_secrets_of_links(client: Client, folder: Path) -> None:
    for link in LINKS:
        client("GET", f"/{link}.{SECRET}")
        client("GET", f"/login?next=/{link}.{SECRET}")
    client("GET", "/static/a.css", headers={"Referer": f"https://{HOST}/{LINKS[0]}.{SECRET}"})
    client("GET", "/livez")

    logged = (folder / "access.log").read_text()

    assert SECRET not in logged
    for path in (*(link.removesuffix("id") + "..." for link in LINKS), "login", "livez"):
        assert f'"GET /{path} HTTP/' in logged


def test_the_error_log_has_no_secrets_of_links(running: Deployment, tmp_path: Path) -> None:
    """No server listens behind the proxy."""
    with nginx(running, tmp_path) as port:
        client = Client(port, tmp_path)
        with client.session:
            asked = [f"/{link}.{SECRET}" for link in LINKS]
            asked += [f"/login?next={path}" for path in asked]
            assert [client("GET", path).status_code for path in asked] == [502] * len(asked)
            assert client("GET", "/agents").status_code == 502

    logged = (tmp_path / "error.log").read_text()
    assert "GET /agents" in logged
    assert SECRET not in logged


def arrived(server: socket.socket) -> int:
    """The number of connections that have not been accepted yet."""
    number = 0
    with suppress(BlockingIOError):
        while True:
            server.accept()[0].close()
            number += 1
    return number


def test_every_endpoint_answers_the_same_through_the_proxy(
    client: Client, running: Deployment, bearer: dict[str, str]
) -> None:
    """Unknown ids and no bodies: nginx must neither redirect, nor refuse, nor answer itself."""
    direct = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}
    differing = []
    for endpoint in ENDPOINTS:
        path = endpoint.path.format_map(dict.fromkeys(names_in(endpoint.path), SOME_ID))
        through = client(endpoint.method, path, headers=bearer)
        without = requests.request(
            endpoint.method,
            f"{running.url}{path}",
            headers=bearer | direct,
            timeout=30,
            allow_redirects=False,
        )
        seen = [
            (each.status_code, each.headers.get("Content-Type"), each.headers.get("Location"))
            for each in (through, without)
        ]
        if seen[0] != seen[1]:
            differing.append((str(endpoint), *seen))

    assert differing == []
    assert len(ENDPOINTS) > 100


def test_a_rolling_restart_of_the_servers_goes_unnoticed(
    client: Client, units: list[Unit], running: Deployment, bearer: dict[str, str], fid: str
) -> None:
    agent, is_over = running.clients[0], Event()

    def call(method: str, path: str, **how: Any) -> list[int]:
        """Call until all have restarted; each call uses a new connection of nginx."""
        own = Client(client.port, Path(str(client.session.verify)).parent)
        statuses = []
        with own.session:
            while not is_over.is_set():
                statuses.append(own(method, path, **how).status_code)
        return statuses

    ask = {
        "data": {"grant_type": "client_credentials"},
        "auth": (agent.client_id, agent.client_secret),
    }
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(call, "POST", "/api/v1/token", **ask),
            pool.submit(call, "GET", "/api/v1/agents", headers=bearer),
            pool.submit(call, "GET", f"/outputs/status/{fid}", headers=bearer),
            pool.submit(call, "GET", "/livez"),
        ]
        try:
            for each in units:
                each.stop()
                each.start()
        finally:
            is_over.set()

    answers = [status for one in calls for status in one.result()]
    assert set(answers) == {200}
    assert len(answers) > 200


def test_a_server_that_was_killed_starts_again_over_its_own_socket(units: list[Unit]) -> None:
    units[0].kill()

    units[0].start()
