"""Third-party services accept only tokens meant for them: the official MCP packages end to end,
and the examples of docs/how-to/accept-tokens.md as printed.
"""

import json
import os
import runpy
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
import requests
import time_machine

from agentidp.devtools.bootstrap_tools import find_proxy
from tests.live import services
from tests.live.deployment import PROJECT, Deployment, OAuthClient, free_port
from tests.live.node import node
from tests.live.services import FOREIGN, FOREIGN_PYTHON, HERE, Owner

pytestmark = pytest.mark.slow

SCOPES = ["files:read", "files:write"]


@pytest.fixture(scope="module")
def owner(deployment: Deployment) -> Owner:
    return Owner(deployment)


@pytest.fixture(scope="module")
def client(deployment: Deployment) -> OAuthClient:
    return deployment.clients[0]


@pytest.fixture(scope="module")
def mcp_server(
    deployment: Deployment,
    owner: Owner,
    client: OAuthClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The URL of the documentation's MCP server, registered, with one agent allowed."""
    identifier = f"http://127.0.0.1:{free_port()}/mcp"
    owner.register(identifier, client, scopes=SCOPES)
    log = tmp_path_factory.mktemp("mcp") / "log"
    with services.mcp_server(deployment, identifier, log):
        yield identifier


def token_for(
    deployment: Deployment, client: OAuthClient, resource: str = "", scope: str = ""
) -> str:
    form = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
    answer = requests.post(
        f"{deployment.url}/api/v1/token",
        data=form,
        auth=(client.client_id, client.client_secret),
        timeout=10,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def run_client(
    command: list[str], server: str, deployment: Deployment, client: OAuthClient
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*command, server, deployment.url, client.client_id],
        input=client.client_secret,
        env=os.environ | {"PYTHONPATH": str(FOREIGN)},
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=120,
    )


def mcp_package(name: str) -> list[str]:
    if name == "python":
        return [*FOREIGN_PYTHON, str(HERE / "mcp_client.py")]
    return [*node(), str(HERE / "mcp_client.mjs")]


@pytest.mark.parametrize("package", ["python", "node"])
def test_the_official_mcp_package_finds_us_and_calls_a_tool(
    deployment: Deployment, client: OAuthClient, mcp_server: str, package: str
) -> None:
    done = run_client(mcp_package(package), mcp_server, deployment, client)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    claims = jwt.decode(found["token"], options={"verify_signature": False})
    assert found["answer"] == client.client_id
    assert claims["aud"] == mcp_server
    assert found["scope"] == claims["scope"]
    assert "files:read" in claims["scope"].split()
    own_api = requests.get(
        f"{deployment.url}/api/v1/agents", headers=bearer(found["token"]), timeout=10
    )
    assert own_api.status_code == 401


@pytest.mark.parametrize("package", ["python", "node"])
def test_an_agent_that_is_not_allowed_calls_no_tool(
    deployment: Deployment, mcp_server: str, package: str
) -> None:
    stranger = deployment.clients[1]

    done = run_client(mcp_package(package), mcp_server, deployment, stranger)

    assert done.returncode != 0
    assert "the client is not allowed there" in done.stderr


def test_the_mcp_server_says_where_tokens_come_from(
    deployment: Deployment, mcp_server: str
) -> None:
    answer = requests.post(mcp_server, json={}, timeout=10)

    challenge = answer.headers["WWW-Authenticate"]
    metadata = requests.get(
        challenge.partition('resource_metadata="')[2].partition('"')[0], timeout=10
    )
    assert answer.status_code == 401
    assert metadata.json()["resource"] == mcp_server
    assert metadata.json()["authorization_servers"] == [deployment.url]


def test_the_mcp_server_refuses_tokens_for_others(
    deployment: Deployment, owner: Owner, client: OAuthClient, mcp_server: str
) -> None:
    other = f"http://127.0.0.1:{free_port()}/mcp"
    owner.register(other, client, scopes=SCOPES)

    for token in (token_for(deployment, client), token_for(deployment, client, other)):
        assert (
            requests.post(mcp_server, json={}, headers=bearer(token), timeout=10).status_code == 401
        )


# The examples of the documentation.

Start = Callable[[Deployment, str, Path, int], AbstractContextManager[None]]
START: dict[str, tuple[Start, str]] = {
    "django": (services.django, "files"),
    "fastapi": (services.fastapi, "files"),
    "nginx": (services.nginx, "files/"),
}


@pytest.fixture(scope="module", params=START)
def service(
    request: pytest.FixtureRequest,
    deployment: Deployment,
    owner: Owner,
    client: OAuthClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, str]]:
    """The example's identifier, and the URL of what it protects."""
    if request.param == "nginx" and not find_proxy():
        pytest.skip("nginx is not installed.")
    start, path = START[request.param]
    port = free_port()
    identifier = f"http://127.0.0.1:{port}/"
    owner.register(identifier, client, scopes=SCOPES)
    log = tmp_path_factory.mktemp(request.param) / "log"
    with start(deployment, identifier, log, port):
        yield identifier, identifier + path


def get(url: str, token: str | None = None) -> requests.Response:
    return requests.get(url, headers=bearer(token) if token else {}, timeout=10)


def test_an_example_takes_its_own_token(
    deployment: Deployment, client: OAuthClient, service: tuple[str, str]
) -> None:
    identifier, url = service

    answer = get(url, token_for(deployment, client, identifier))

    assert answer.status_code == 200, answer.text
    assert answer.json()["agent"] == client.client_id
    assert "Authorization" not in answer.json().get("headers", {})


def test_an_example_refuses_every_other_token(
    deployment: Deployment,
    owner: Owner,
    client: OAuthClient,
    mcp_server: str,
    service: tuple[str, str],
) -> None:
    identifier, url = service
    good = token_for(deployment, client, identifier)
    header, _, signature = good.split(".")
    _, other_payload, _ = token_for(deployment, client, mcp_server).split(".")
    unsigned = jwt.encode(jwt.decode(good, options={"verify_signature": False}), "", "none")
    tokens = {
        "none": None,
        "garbage": "garbage",
        "for the API of AgentIdP": token_for(deployment, client),
        "for another service": token_for(deployment, client, mcp_server),
        "another signature": f"{header}.{other_payload}.{signature}",
        "unsigned": unsigned,
    }

    answers = {name: get(url, token) for name, token in tokens.items()}

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        tokens, 401
    )
    assert all(
        answer.headers["WWW-Authenticate"].startswith("Bearer") for answer in answers.values()
    )


@pytest.mark.parametrize(("behind", "is_taken"), [(0, True), (5, True), (25, True), (60, False)])
def test_an_example_whose_clock_is_behind_takes_a_new_token(
    deployment: Deployment, owner: Owner, client: OAuthClient, behind: int, is_taken: bool
) -> None:
    identifier = f"http://127.0.0.1:{free_port()}/"
    owner.register(identifier, client, scopes=SCOPES)
    token = token_for(deployment, client, identifier)
    example = runpy.run_path(str(PROJECT / "docs" / "examples" / "agent_tokens.py"))
    own = {f"org-{client.organization_id}"}
    tokens = example["AgentTokens"](deployment.url, identifier, own)

    with time_machine.travel(datetime.now(UTC) - timedelta(seconds=behind)):
        if is_taken:
            assert tokens.claims(token)["client_id"] == client.client_id
        else:
            with pytest.raises(jwt.ImmatureSignatureError):
                tokens.claims(token)


def test_an_example_lets_its_own_organization_in_and_no_other(
    deployment: Deployment, service: tuple[str, str]
) -> None:
    """Another organization may register the same URL, but its agents still have no access."""
    identifier, url = service
    stranger = next(
        each
        for each in deployment.clients
        if each.organization_id != deployment.clients[0].organization_id
    )
    email = f"owner-{deployment.clients.index(stranger)}@example.com"
    Owner(deployment, email).register(identifier, stranger, scopes=SCOPES)

    answer = get(url, token_for(deployment, stranger, identifier))

    assert answer.status_code == 401


def test_an_example_asks_for_the_scope(
    deployment: Deployment, client: OAuthClient, service: tuple[str, str]
) -> None:
    identifier, url = service
    reader = token_for(deployment, client, identifier, "files:read")
    if url.endswith("/"):  # nginx requires none, and passes them to the service behind it
        assert get(url, reader).json()["headers"]["X-Scope"] == "files:read"
        return
    writer = token_for(deployment, client, identifier, "files:write")

    refused = requests.post(url, headers=bearer(reader), timeout=10)

    assert refused.status_code == 403
    assert 'scope="files:write"' in refused.headers["WWW-Authenticate"]
    assert requests.post(url, headers=bearer(writer), timeout=10).status_code == 200
    assert get(url, writer).status_code == 403
