"""Verify a token with the key set at its URL, and reject one with another audience."""

import json
import sys

import jwt

given = json.load(sys.stdin)
keys = jwt.PyJWKClient(given["metadata"]["jwks_uri"])


def claims(token: str) -> dict:
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token),
        algorithms=["ES256", "RS256"],
        issuer=given["url"],
        audience=f"{given['url']}/api",
        leeway=30,
    )


assert claims(given["token"])["sub"] == given["client_id"]
try:
    claims(given["resource_token"])
except jwt.InvalidAudienceError:
    pass
else:
    sys.exit("It took a token for somebody else.")
