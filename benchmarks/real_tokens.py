"""Whether a token endpoint's answer is what it looks like: a JWT that verifies with its keys."""

import http.client
import json
import sys
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

FORM = "application/x-www-form-urlencoded"
FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}


def check_token(
    port: int, path: str, keys: str, *, clients: Path, host: str, algorithm: str
) -> dict[str, Any]:
    """Ask for a token with the first client and verify it; return the claims.

    End the benchmark if it is not signed with the algorithm and a published key of that name.
    """
    headers = {"Host": host, **FORWARDED}

    def call(method: str, path: str, body: str | None = None, **more: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body, headers | more)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.status != 200:
            sys.exit(f"{path}: {response.status} {content[:500]!r}")
        return json.loads(content)

    with clients.open() as lines:
        authorization = f"Basic {lines.readline().strip()}"
    form = {"Content-Type": FORM, "Authorization": authorization}
    answer = call("POST", path, "grant_type=client_credentials", **form)
    published = KeySet.import_key_set(call("GET", keys))
    try:
        token = jwt.decode(answer["access_token"], published, algorithms=[algorithm])
    except (JoseError, ValueError) as error:
        sys.exit(f"{path}: not a token by {algorithm} and a published key: {error}")
    if token.header.get("kid") not in {key.kid for key in published.keys}:
        sys.exit(f"{path}: the token names no published key: {token.header}")
    return token.claims
