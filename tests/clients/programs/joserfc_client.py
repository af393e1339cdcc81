"""Verify a token with the key set at its URL."""

import json
import sys
import urllib.request

from joserfc import jwt
from joserfc.jwk import KeySet

given = json.load(sys.stdin)
with urllib.request.urlopen(given["metadata"]["jwks_uri"]) as answer:
    keys = KeySet.import_key_set(json.load(answer))
decoded = jwt.decode(given["token"], keys, algorithms=["ES256", "RS256"])
rules = {
    "iss": {"essential": True, "value": given["url"]},
    "aud": {"essential": True, "value": f"{given['url']}/api"},
}
jwt.JWTClaimsRegistry(**rules).validate(decoded.claims)
assert decoded.header["typ"] == "at+jwt"
assert decoded.claims["sub"] == given["client_id"]
