"""Third-party clients get, use and verify our tokens, given nothing but the issuer."""

import json
import subprocess
from pathlib import Path

import jwt
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session as RequestsSession

from tests.live.deployment import PROJECT, Deployment, OAuthClient
from tests.live.node import node

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent
SCOPE = "agents:read tokens:read"


@pytest.fixture
def client(deployment: Deployment) -> OAuthClient:
    return deployment.clients[0]


@pytest.fixture
def metadata(deployment: Deployment) -> dict[str, str]:
    answer = requests.get(f"{deployment.url}/.well-known/oauth-authorization-server", timeout=10)
    return dict(answer.json())


@pytest.fixture
def token(metadata: dict[str, str], client: OAuthClient) -> str:
    answer = requests.post(
        metadata["token_endpoint"],
        data={"grant_type": "client_credentials"},
        auth=(client.client_id, client.client_secret),
        timeout=10,
    )
    return str(answer.json()["access_token"])


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_uses_and_revokes_a_token(
    deployment: Deployment, metadata: dict[str, str], client: OAuthClient, method: str
) -> None:
    session = AuthlibSession(
        client.client_id, client.client_secret, scope=SCOPE, token_endpoint_auth_method=method
    )

    token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    agents = session.get(f"{deployment.url}/api/v1/agents")
    about = session.introspect_token(
        metadata["introspection_endpoint"], token=token["access_token"]
    )
    session.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])
    after = requests.get(
        f"{deployment.url}/api/v1/agents",
        headers={"Authorization": f"Bearer {token['access_token']}"},
        timeout=10,
    )

    assert token["scope"] == SCOPE
    assert (agents.status_code, agents.json()["total"]) == (200, 3)
    assert (about.json()["active"], about.json()["client_id"]) == (True, client.client_id)
    assert after.status_code == 401


@pytest.mark.parametrize("is_in_body", [False, True])
def test_requests_oauthlib_gets_and_uses_a_token(
    deployment: Deployment,
    metadata: dict[str, str],
    client: OAuthClient,
    is_in_body: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # http, on this machine
    session = RequestsSession(client=BackendApplicationClient(client.client_id, scope=SCOPE))
    basic = HTTPBasicAuth(client.client_id, client.client_secret)
    proof = {"client_secret": client.client_secret, "include_client_id": True}

    session.fetch_token(metadata["token_endpoint"], **(proof if is_in_body else {"auth": basic}))

    assert session.get(f"{deployment.url}/api/v1/agents").status_code == 200


def test_pyjwt_verifies_a_token_by_the_address_of_the_keys(
    metadata: dict[str, str], token: str, client: OAuthClient
) -> None:
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)

    claims = jwt.decode(
        token,
        key,
        algorithms=["ES256", "RS256"],
        issuer=metadata["issuer"],
        audience=f"{metadata['issuer']}/api",
    )

    assert claims["sub"] == client.client_id


def test_joserfc_verifies_a_token_by_the_address_of_the_keys(
    metadata: dict[str, str], token: str, client: OAuthClient
) -> None:
    keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())

    decoded = joserfc_jwt.decode(token, keys, algorithms=["ES256", "RS256"])

    JWTClaimsRegistry(iss={"essential": True, "value": metadata["issuer"]}).validate(decoded.claims)
    assert decoded.claims["organization_id"] == f"org-{client.organization_id}"


def test_openid_client_for_node_discovers_and_gets_a_token(
    deployment: Deployment, client: OAuthClient
) -> None:
    done = subprocess.run(
        [*node(), SCRIPTS / "openid_client.mjs", deployment.url, client.client_id],
        input=client.client_secret,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["scope"] == "agents:read"
    assert found["introspected"]["active"] is True
    assert found["introspected"]["client_id"] == client.client_id
    assert found["agents"] == 200
    assert found["afterRevocation"] == 401
