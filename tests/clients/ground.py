"""Data for the clients: an organization with runs, errors, tokens, files and a resource."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.live.deployment import OWNER, OWNER_PASSWORD, PROJECT, Deployment, OAuthClient, free_port
from tests.live.services import Owner

PAGES = [
    *(f"/overview/{name}.csv" for name in ("tokens", "activity", "agents", "findings")),
    "/executions/export",
]
"""The CSV files of pages; those of the API are found in its description."""


@dataclass
class Ground:
    deployment: Deployment
    client: OAuthClient
    resource: str
    folder: Path
    facts: dict[str, Any]


def prepared(deployment: Deployment, folder: Path) -> Ground:
    url, client = deployment.url, deployment.clients[0]
    resource = f"http://127.0.0.1:{free_port()}/mcp"
    owner = Owner(deployment)
    owner.register(resource, client, scopes=["files:read", "files:write"])
    token = token_for(deployment, client)
    report_runs(url, token)
    schema = folder / "schema.json"
    schema.write_bytes(get(f"{url}/api/schema", Accept="application/json").content)
    facts = {
        "url": url,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "metadata": get(f"{url}/.well-known/oauth-authorization-server").json(),
        "token": token,
        "resource": resource,
        "resource_token": token_for(deployment, client, resource),
        "schema": str(schema),
        "csv": csv_files(url, owner, json.loads(schema.read_bytes()), folder),
        "folder": str(folder),
        "project": str(PROJECT),
    }
    return Ground(deployment, client, resource, folder, facts)


def token_for(deployment: Deployment, client: OAuthClient, resource: str = "") -> str:
    form = {"grant_type": "client_credentials", "resource": resource}
    answer = requests.post(
        f"{deployment.url}/api/v1/token",
        data=form,
        auth=(client.client_id, client.client_secret),
        timeout=10,
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def report_runs(url: str, token: str) -> None:
    """Report a successful and a failed run with texts that are difficult in CSV."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    runs = f"{url}/api/v1/executions"
    for status, summary in (("finished", 'Müller, "quoted"\nand =1+1'), ("error", "=SUM(A1)")):
        made = session.post(runs, json={"summary": summary, "tags": ["ü", "a,b"]}, timeout=10)
        made.raise_for_status()
        one = f"{runs}/{made.json()['executionId']}"
        end = {"status": status} | ({"error": "ValueError: 7, not 8"} if status == "error" else {})
        events = {"events": [{"kind": "stdout", "message": "working"}]}
        session.post(f"{one}/events", json=events, timeout=10).raise_for_status()
        session.post(f"{one}/finish", json=end, timeout=10).raise_for_status()


def csv_files(url: str, owner: Owner, schema: dict[str, Any], folder: Path) -> dict[str, str]:
    """Save every CSV file of the API's description and of the pages; return them by path."""
    browser = signed_in(url)
    offered = [
        (path, owner.session)
        for path, operations in schema["paths"].items()
        if "get" in operations
        and "text/csv" in operations["get"]["responses"]["200"].get("content", {})
    ] + [(path, browser) for path in PAGES]
    saved = {}
    for number, (path, session) in enumerate(offered):
        answer = session.get(f"{url}{path}", headers={"Accept": "text/csv"}, timeout=30)
        assert answer.status_code == 200, (path, answer.text)
        assert answer.headers["Content-Type"].startswith("text/csv"), path
        saved[path] = str(folder / f"{number}.csv")
        Path(saved[path]).write_bytes(answer.content)
    return saved


def signed_in(url: str) -> requests.Session:
    """A signed-in session for pages."""
    browser = requests.Session()
    page = browser.get(f"{url}/login", timeout=10).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token is not None, page
    form = {"csrfmiddlewaretoken": token[1], "email": OWNER, "password": OWNER_PASSWORD}
    browser.post(f"{url}/login", form, timeout=10).raise_for_status()
    return browser


def get(url: str, **headers: str) -> requests.Response:
    answer = requests.get(url, headers=headers, timeout=30)
    answer.raise_for_status()
    return answer
