"""Get and use tokens with the secret in the header and in the form; revoke one."""

import json
import os
import sys

import requests
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, on this machine
given = json.load(sys.stdin)
basic = HTTPBasicAuth(given["client_id"], given["client_secret"])
in_form = {"client_secret": given["client_secret"], "include_client_id": True}
for proof in ({"auth": basic}, in_form):
    client = BackendApplicationClient(given["client_id"], scope="agents:read tokens:read")
    session = OAuth2Session(client=client)
    token = session.fetch_token(given["metadata"]["token_endpoint"], **proof)
    assert session.get(f"{given['url']}/api/v1/agents").status_code == 200
    url, headers, body = client.prepare_token_revocation_request(
        given["metadata"]["revocation_endpoint"], token["access_token"]
    )
    assert requests.post(url, body, headers=headers, auth=basic, timeout=10).status_code == 200
    assert session.get(f"{given['url']}/api/v1/agents").status_code == 401
