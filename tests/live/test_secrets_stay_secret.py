"""Secrets sent to every endpoint, even in the wrong place, are stored and logged nowhere."""

import base64
from typing import Any

import psycopg
import pytest
import requests
from psycopg import sql

from tests.live.deployment import OWNER, OWNER_PASSWORD, Deployment

pytestmark = pytest.mark.slow

TOKEN = "/api/v1/token"
GRANT = {"grant_type": "client_credentials"}
WRONG_SECRET = "sk_live_canary-that-was-never-right-0123456789"
WRONG_PASSWORD = "canary-password-that-was-never-right"


class Visitor:
    """Calls the deployment and remembers every secret that was sent or received."""

    def __init__(self, deployment: Deployment) -> None:
        self.url = deployment.url
        self.secrets = {OWNER_PASSWORD, WRONG_SECRET, WRONG_PASSWORD}

    def call(self, method: str, path: str, **how: Any) -> Any:
        answer = requests.request(method, f"{self.url}{path}", timeout=30, **how)
        assert answer.status_code < 500, (path, answer.text)
        return answer

    def keep(self, *secrets: str) -> None:
        for secret in secrets:
            self.secrets.add(secret)
            self.secrets.update(part for part in secret.split(".") if len(part) > 60)


def visit(deployment: Deployment) -> set[str]:
    """Use secrets correctly and incorrectly; return all that must not be found afterwards."""
    visitor = Visitor(deployment)
    call, client = visitor.call, deployment.clients[0]
    pair = (client.client_id, client.client_secret)
    basic = base64.b64encode(":".join(pair).encode()).decode()
    visitor.keep(client.client_secret, basic)
    token = call("POST", TOKEN, data=GRANT, auth=pair).json()["access_token"]
    visitor.keep(token)
    signed_in = call(
        "POST", "/api/v1/auth/login", json={"email": OWNER, "password": OWNER_PASSWORD}
    ).json()
    visitor.keep(signed_in["accessToken"], signed_in["refreshToken"])
    owner = {"Authorization": f"Bearer {signed_in['accessToken']}"}
    credentials = f"/api/v1/agents/{client.client_id}/credentials"
    made = call("POST", credentials, json={}, headers=owner).json()
    one = f"{credentials}/{made['credentialId']}"
    rotated = call("POST", f"{one}/rotate", json={"graceSeconds": 60}, headers=owner).json()
    visitor.keep(made["clientSecret"], rotated["clientSecret"])
    for secret in (made["clientSecret"], rotated["clientSecret"], WRONG_SECRET):
        call("POST", TOKEN, data=GRANT, auth=(client.client_id, secret))
    call("POST", TOKEN, data={"client_id": pair[0], "client_secret": pair[1], **GRANT})
    call("POST", TOKEN, params={"client_id": pair[0], "client_secret": pair[1], **GRANT})
    call("POST", TOKEN, json={"client_secret": pair[1]})
    call("GET", f"/api/v1/agents?access_token={token}&search={pair[1]}")
    call("GET", f"/api/v1/agents/{token}", headers=owner)
    call("GET", f"/{pair[1]}")
    call("POST", "/api/v1/agents", data=f'{{"email": "{pair[1]}', headers=owner)
    call("POST", "/api/v1/agents", json={"clientSecret": pair[1]}, headers=owner)
    call("POST", "/api/v1/auth/login", json={"email": OWNER, "password": WRONG_PASSWORD})
    call("POST", "/api/v1/auth/refresh", json={"refreshToken": signed_in["refreshToken"]})
    call("POST", "/api/v1/auth/refresh", json={"refreshToken": signed_in["refreshToken"]})
    for endpoint in ("introspect", "revoke"):
        call("POST", f"{TOKEN}/{endpoint}", data={"token": token}, auth=pair)
        call("POST", f"{TOKEN}/{endpoint}", data={"token": WRONG_SECRET}, auth=pair)
        call("POST", f"{TOKEN}/{endpoint}", data={"token": token}, auth=(pair[0], WRONG_SECRET))
    return visitor.secrets


def everything_stored(deployment: Deployment) -> str:
    """Each row of each table as text, in every organization."""
    texts: list[str] = []
    with psycopg.connect(deployment.cluster.url) as connection:
        organizations = connection.execute("SELECT id FROM organizations_organization").fetchall()
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        for (organization_id,) in organizations:
            connection.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization_id)]
            )
            for (table,) in tables:
                rows = sql.SQL("SELECT row::text FROM {} AS row").format(sql.Identifier(table))
                texts += [text for (text,) in connection.execute(rows).fetchall()]
    return "\n".join(texts)


def test_no_secret_is_stored_logged_or_counted(deployment: Deployment) -> None:
    secrets = visit(deployment)

    places = {
        "the database": everything_stored(deployment),
        "the server's log": deployment.log.read_text(),
        "the database's log": deployment.cluster.log.read_text(),
        "the metrics": requests.get(f"{deployment.url}/metrics", timeout=30).text,
    }

    assert deployment.clients[0].client_id in places["the database"]
    assert "api/v1/token" in places["the server's log"]
    assert "http_requests" in places["the metrics"]
    for place, text in places.items():
        found = [secret[:12] for secret in secrets if secret in text]
        assert not found, f"{place} holds {found}"
