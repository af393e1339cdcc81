"""Get, use, introspect and revoke tokens with both client authentication methods of Authlib."""

import json
import sys

from authlib.integrations.requests_client import OAuth2Session

given = json.load(sys.stdin)
for method in ("client_secret_basic", "client_secret_post"):
    session = OAuth2Session(
        given["client_id"],
        given["client_secret"],
        scope="agents:read tokens:read",
        token_endpoint_auth_method=method,
    )
    token = session.fetch_token(
        given["metadata"]["token_endpoint"], grant_type="client_credentials"
    )
    assert token["scope"] == "agents:read tokens:read"
    assert session.get(f"{given['url']}/api/v1/agents").status_code == 200
    introspected = session.introspect_token(
        given["metadata"]["introspection_endpoint"], token=token["access_token"]
    )
    assert introspected.json()["active"] is True
    session.revoke_token(given["metadata"]["revocation_endpoint"], token=token["access_token"])
    assert session.get(f"{given['url']}/api/v1/agents").status_code == 401
