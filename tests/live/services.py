"""Third-party services that accept our tokens: the documentation's examples as processes."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from agentidp.devtools.bootstrap import FOREIGN
from agentidp.devtools.bootstrap_tools import find_proxy
from tests.live.deployment import (
    OWNER,
    OWNER_PASSWORD,
    PROJECT,
    Deployment,
    OAuthClient,
    free_port,
    running,
    wait_until_open,
)

EXAMPLES = PROJECT / "docs" / "examples"
HERE = Path(__file__).parent
FOREIGN_PYTHON = [sys.executable, "-S"]
"""Python with the packages of requirements-foreign.txt and without AgentIdP's."""


@dataclass
class Owner:
    """The owner of the first organization as a client of the API."""

    deployment: Deployment
    email: str = OWNER
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        answer = self._call(
            "POST", "/auth/login", {"email": self.email, "password": OWNER_PASSWORD}
        ).json()
        self.session.headers["Authorization"] = f"Bearer {answer['accessToken']}"

    def register(self, identifier: str, *allowed: OAuthClient, scopes: Sequence[str]) -> str:
        """Register a resource and grant the agents all its scopes; return its id."""
        names = [{"name": name} for name in scopes]
        made = self._call(
            "POST", "/resources", {"identifier": identifier, "name": "Files", "scopes": names}
        )
        resource_id = str(made.json()["resourceId"])
        for client in allowed:
            self.allow(resource_id, client, scopes)
        return resource_id

    def allow(self, resource_id: str, client: OAuthClient, scopes: Sequence[str]) -> None:
        url = f"/resources/{resource_id}/agents/{client.client_id}"
        self._call("PUT", url, {"scopes": list(scopes)})

    def _call(self, method: str, path: str, body: Any) -> requests.Response:
        url = f"{self.deployment.url}/api/v1{path}"
        answer = self.session.request(method, url, json=body, timeout=10)
        answer.raise_for_status()
        return answer


@contextlib.contextmanager
def service(command: Sequence[object], port: int, log: Path, **environment: str) -> Iterator[None]:
    """Run the process during the block, which starts when it accepts connections on the port."""
    path = os.pathsep.join(map(str, (EXAMPLES, FOREIGN, HERE)))
    with running(command, os.environ | {"PYTHONPATH": path} | environment, log) as process:
        wait_until_open(port, process, log)
        yield


def of_deployment(deployment: Deployment, identifier: str) -> dict[str, str]:
    """The environment variables of an example."""
    return {
        "ISSUER": deployment.url,
        "AUDIENCE": identifier,
        "ORGANIZATIONS": f"org-{deployment.clients[0].organization_id}",
    }


@contextlib.contextmanager
def mcp_server(deployment: Deployment, identifier: str, log: Path) -> Iterator[None]:
    port = int(identifier.split(":")[2].partition("/")[0])
    environment = of_deployment(deployment, identifier) | {"PORT": str(port)}
    command = [*FOREIGN_PYTHON, EXAMPLES / "mcp_server.py"]
    with service(command, port, log, **environment):
        yield


@contextlib.contextmanager
def fastapi(deployment: Deployment, identifier: str, log: Path, port: int) -> Iterator[None]:
    command = [*FOREIGN_PYTHON, "-m", "uvicorn", "fastapi_service:app", "--port", port]
    with service(command, port, log, **of_deployment(deployment, identifier)):
        yield


@contextlib.contextmanager
def django(deployment: Deployment, identifier: str, log: Path, port: int) -> Iterator[None]:
    """The middleware in a small project, run with this installation of Django."""
    command = [sys.executable, HERE / "django_project.py", port]
    path = os.pathsep.join(map(str, (EXAMPLES, HERE)))
    environment = of_deployment(deployment, identifier) | {"PYTHONPATH": path}
    with service(command, port, log, **environment):
        yield


@contextlib.contextmanager
def nginx(deployment: Deployment, identifier: str, log: Path, port: int) -> Iterator[None]:
    """nginx with the example's block, its token verifier, and a service that does not check
    tokens.
    """
    verifier, behind = free_port(), free_port()
    block = (EXAMPLES / "nginx.conf").read_text()
    for written, real in {
        "listen 8080": f"listen 127.0.0.1:{port}",
        "127.0.0.1:8000": f"127.0.0.1:{verifier}",
        "127.0.0.1:9000": f"127.0.0.1:{behind}",
    }.items():
        assert written in block
        block = block.replace(written, real)
    folder = log.parent / "nginx"
    folder.mkdir(exist_ok=True)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;"
        f"events {{}} http {{ access_log off; {temporary}\n{block}\n}}"
    )
    command = [find_proxy(), "-p", folder, "-c", configuration]
    echo = [sys.executable, HERE / "echo_service.py", behind]
    with (
        fastapi(deployment, identifier, log.with_suffix(".verifier"), verifier),
        service(echo, behind, log.with_suffix(".echo")),
        service(command, port, log),
    ):
        yield
