"""The documentation's programs, run as printed apart from URLs."""

import os
import re
import subprocess
import textwrap
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.live.deployment import PROJECT, Deployment, OAuthClient, free_port
from tests.live.node import node
from tests.live.services import EXAMPLES, FOREIGN, FOREIGN_PYTHON, Owner, service

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SHOWN = {
    "api": "http://localhost:3000",
    "issuer": "https://id.example.com",
    "server": "https://mcp.example.com/mcp",
}


def block(page: str, language: str = "", *, having: str = "") -> str:
    """The only block of the page in this language that contains `having`."""
    found = BLOCK.findall((PROJECT / "docs" / "how-to" / page).read_text())
    (code,) = (code for _, kind, code in found if kind == language and having in code)
    return textwrap.dedent(code)


def put(code: str, shown: str, real: str) -> str:
    assert shown in code
    return code.replace(shown, real)


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> OAuthClient:
    return deployment.clients[0]


def test_the_program_that_follows_an_execution_prints_its_events_live(
    deployment: Deployment, client: OAuthClient, tmp_path: Path
) -> None:
    code = put(block("follow-an-execution.md", "python"), SHOWN["api"], deployment.url)
    (tmp_path / "follow.py").write_text(code)
    api = requests.Session()
    answer = api.post(
        f"{deployment.url}/api/v1/token",
        {"grant_type": "client_credentials"},
        auth=(client.client_id, client.client_secret),
        timeout=10,
    ).json()
    token = answer["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"
    executions = f"{deployment.url}/api/v1/executions"
    fid = api.post(executions, json={"summary": "Followed"}, timeout=10).json()["executionId"]

    program = subprocess.Popen(
        [*FOREIGN_PYTHON, tmp_path / "follow.py", fid, token],
        env=os.environ | {"PYTHONPATH": str(FOREIGN)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with program, giving_up(program):
        assert program.stdout is not None
        printed = [program.stdout.readline()]  # it is connected
        wait_for_silence(api, f"{deployment.url}/outputs/stream/{fid}")
        event = {"kind": "stdout", "message": "one: two"}
        report(api, f"{executions}/{fid}/events", {"events": [event]})
        printed += iter_until(program.stdout, " stdout one: two\n")
        report(api, f"{executions}/{fid}/finish", {"status": "finished", "final": "Done"})
        printed += program.stdout.readlines()

    assert program.returncode == 0
    kinds = [line.split(" ")[1] for line in printed]
    assert kinds == ["status", "meta", "stdout", "final", "status"], printed


def wait_for_silence(api: requests.Session, stream: str) -> None:
    """Wait as long as the longest pause in a stream; clients time out earlier on their own."""
    with api.get(stream, stream=True, timeout=30) as beside:
        for _ in iter_until(beside.iter_lines(decode_unicode=True), "event: alive"):
            pass


def report(api: requests.Session, url: str, body: dict[str, Any]) -> None:
    api.post(url, json=body, timeout=10).raise_for_status()


def iter_until(lines: Iterable[str], end: str) -> Iterator[str]:
    for line in lines:
        yield line
        if line.endswith(end):
            return


@contextmanager
def giving_up(program: "subprocess.Popen[str]") -> Iterator[None]:
    """Stop a program that waits for something that does not happen."""
    timer = threading.Timer(60, program.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_the_program_that_reads_a_list_keeps_every_row_once(deployment: Deployment) -> None:
    owner = Owner(deployment)
    for name in ("first", "second"):
        owner.register(f"https://{name}.example.com/", scopes=["files:read"])
    code = put(block("../reference/lists.md", "python"), SHOWN["issuer"], deployment.url)
    code = put(code, "limit=100", "limit=7")
    token = str(owner.session.headers["Authorization"]).removeprefix("Bearer ")
    given = f"token = {token!r}\n\n\ndef keep(event):\n    print(event['sequence'])\n\n\n"

    done = subprocess.run(
        [*FOREIGN_PYTHON, "-"],
        input=given + code,
        env=os.environ | {"PYTHONPATH": str(FOREIGN)},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    kept = [int(line) for line in done.stdout.split()]
    assert kept == list(range(kept[0], 0, -1))
    assert len(kept) > 2


@pytest.fixture(scope="module")
def mcp_server(
    deployment: Deployment,
    client: OAuthClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The URL of the server that the page starts, registered, with one agent allowed."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/mcp"
    Owner(deployment).register(address, client, scopes=["files:read"])
    install, command = block("mcp-servers.md").splitlines()
    assert install.startswith("pip install ")
    organization = f"org-{client.organization_id}"
    for shown, real in {
        SHOWN["issuer"]: deployment.url,
        SHOWN["server"]: address,
        "org-…": organization,
        "PORT=8000": f"PORT={port}",
        "python mcp_server.py": f"exec {' '.join(FOREIGN_PYTHON)} {EXAMPLES}/mcp_server.py",
    }.items():
        command = put(command, shown, real)
    log = tmp_path_factory.mktemp("written") / "log"
    with service(["bash", "-c", command], port, log):
        yield address


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_agents_of_the_page_call_a_tool_of_the_server_of_the_page(
    deployment: Deployment, client: OAuthClient, mcp_server: str, language: str
) -> None:
    code = put(block("mcp-servers.md", language), SHOWN["issuer"], deployment.url)
    code = put(code, SHOWN["server"], mcp_server)
    run = [*FOREIGN_PYTHON, "-"] if language == "python" else [*node(), "--input-type=module", "-"]

    done = subprocess.run(
        run,
        input=code,
        env=os.environ
        | {
            "PYTHONPATH": str(FOREIGN),
            "CLIENT_ID": client.client_id,
            "CLIENT_SECRET": client.client_secret,
        },
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == client.client_id
