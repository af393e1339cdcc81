"""What attackers make of a real token, by what they try."""

from typing import Any
from uuid import uuid4

from tokens.tests.forgery import (
    Forge,
    b64,
    claims_with,
    claims_without,
    edited,
    flipped,
    header_with,
    header_without,
    hmac_with,
    jws_json,
    other_spelling,
    raw_claims,
    repeated,
    ring_key,
    rsa_signed,
    sign,
    signed_by_stranger,
    time_claim,
    unsigned,
    unsigned_with_old_signature,
    with_embedded_key,
)

ISSUER_CHANGES = ["http://evil.example", "http://localhost:300", "http://localhost:3000/", ""]
AUDIENCE = "http://localhost:3000/api"
STRANGE_TIMES: list[Any] = [None, "1e9", "99999999999", [1], {}, True, 1e300, -1, 2**64]
FORGERIES: dict[str, dict[str, Forge]] = {
    "the algorithm": {
        **{f"alg-{name}": unsigned(name) for name in ("none", "None", "nOnE", "NONE", "")},
        **{f"alg-{name}-signed": unsigned_with_old_signature(name) for name in ("none", "NonE")},
        "alg-null": header_with(alg=None),
        "alg-list": header_with(alg=["ES256"]),
        "alg-absent": header_without("alg"),
        "signature-stripped": edited(lambda parts: [*parts[:2], ""]),
        "signature-gone": edited(lambda parts: parts[:2]),
        "signature-zero": edited(lambda parts: [*parts[:2], b64(bytes(64))]),
        "signature-short": edited(lambda parts: [*parts[:2], parts[2][:40]]),
        "bit-in-header": flipped(0),
        "bit-in-payload": flipped(1),
        "bit-in-signature": flipped(2),
    },
    "an empty secret": {
        **{f"empty-{a}": hmac_with(b"", a) for a in ("HS256", "HS384", "HS512")},
        "hmac-with-kid-of-es256": lambda real: hmac_with(b"x", "HS256", ring_key().kid)(real),
    },
    "a key of the attacker": {
        "jwk": with_embedded_key,
        "jwk-right-signature": header_with(jwk={"kty": "oct", "k": "AA"}),
        "jku": signed_by_stranger(jku="http://127.0.0.1:9/jwks.json"),
        "x5u": signed_by_stranger(x5u="http://127.0.0.1:9/cert.pem"),
        "x5c": signed_by_stranger(x5c=["AAAA"]),
        "jku-right-signature": header_with(jku="http://127.0.0.1:9/jwks.json"),
    },
    "the key id": {
        **{
            f"kid-{name}": header_with(kid=kid)
            for name, kid in {
                "unknown": str(uuid4()),
                "empty": "",
                "long": "k" * 4000,
                "10kb": "k" * 10_240,
                "path": "../../etc/passwd",
                "sql": "' OR 1=1--",
                "null": None,
                "number": 1,
                "list": ["a"],
                "object": {"a": 1},
                "nul": "\x00",
                "surrogate": "\ud800",
            }.items()
        },
        "kid-absent": header_without("kid"),
    },
    "a key for another algorithm": {
        "es256-with-kid-of-rsa": lambda real: header_with(kid=ring_key("RS256").kid)(real),
        "rs256-with-kid-of-ec": rsa_signed("RS256", "ES256"),
        "rsa-kid-named-es256": rsa_signed("ES256", "RS256"),
        "ps256": rsa_signed("PS256", "RS256"),
        "ec-named-rs256": header_with(alg="RS256"),
        "es384": header_with(alg="ES384"),
        "eddsa": header_with(alg="EdDSA"),
    },
    "critical headers": {
        "crit-unknown": header_with(crit=["bork"], bork=1),
        "crit-empty": header_with(crit=[]),
        "b64-false": header_with(b64=False, crit=["b64"]),
        "b64-false-not-critical": header_with(b64=False),
        "header-zip": header_with(zip="DEF"),
    },
    "the type": {
        **{
            f"typ-{typ}": header_with(typ=typ)
            for typ in (
                "JWT",
                "id_token",
                "client-authentication+jwt",
                "dpop+jwt",
                "rt+jwt",
                "AT+JWT ",
                None,
            )
        },
        "typ-absent": header_without("typ"),
    },
    "the end": {
        "exp-past": time_claim("exp", -6),
        "exp-absent": claims_without("exp"),
        **{f"exp-{value}": claims_with(exp=value) for value in STRANGE_TIMES},
        "exp-nan": claims_with(exp=float("nan")),
        "exp-infinity": claims_with(exp=float("inf")),
    },
    "the beginning": {
        "nbf-future": time_claim("nbf", 60),
        "nbf-text": claims_with(nbf="soon"),
        "iat-future": time_claim("iat", 3600),
        "iat-absent": claims_without("iat"),
        **{f"iat-{value}": claims_with(iat=value) for value in STRANGE_TIMES},
    },
    "the issuer": {
        **{f"iss-{issuer}": claims_with(iss=issuer) for issuer in ISSUER_CHANGES},
        "iss-absent": claims_without("iss"),
        "iss-list": claims_with(iss=["http://localhost:3000"]),
        "iss-null": claims_with(iss=None),
    },
    "the audience": {
        "aud-other": claims_with(aud="https://other.example"),
        "aud-absent": claims_without("aud"),
        "aud-null": claims_with(aud=None),
        "aud-empty": claims_with(aud=[]),
        "aud-slash": claims_with(aud=AUDIENCE + "/"),
        "aud-list-without-ours": claims_with(aud=["https://other.example"]),
        "aud-list-of-ours": claims_with(aud=[AUDIENCE]),
        "aud-list-with-stranger": claims_with(aud=[AUDIENCE, "https://other.example"]),
        "aud-number": claims_with(aud=1),
    },
    "the organization": {
        **{
            f"organization-{value}": claims_with(organization_id=value)
            for value in (
                None,
                "",
                "org-",
                "org-x",
                1,
                [],
                {},
                "org-00000000-0000-0000-0000-000000000000",
                f"org-{uuid4()}",
                str(uuid4()),
                f"ORG-{uuid4()}",
                f"org-{str(uuid4()).upper()}",
            )
        },
        "organization-absent": claims_without("organization_id"),
    },
    "a claim twice": {
        "organization-twice": repeated("organization_id", f"org-{uuid4()}"),
        "sub-twice": repeated("sub", str(uuid4())),
        "jti-twice": repeated("jti", str(uuid4())),
        "organization-twice-escaped": raw_claims(
            lambda text: text[:-1] + r', "organization\u005fid": "org-x"}'
        ),
    },
    "the other claims": {
        **{
            f"{name}-absent": claims_without(name)
            for name in ("sub", "client_id", "credential_id", "jti", "token_use")
        },
        **{
            f"{name}-{value!r}": claims_with(**{name: value})
            for name in ("sub", "jti", "credential_id", "client_id")
            for value in (None, 1, "", "x", [str(uuid4())], uuid4().hex)
        },
        "scope-list": claims_with(scope=["agents:read"]),
        "scope-object": claims_with(scope={"agents:read": True}),
        "token-use-person": claims_with(token_use="person"),
        "token-use-refresh": claims_with(token_use="refresh"),
        "token-use-list": claims_with(token_use=["agent"]),
    },
    "another identity": {
        "another-agent": lambda real: claims_with(sub=(a := str(uuid4())), client_id=a)(real),
        "another-client-id": claims_with(client_id=str(uuid4())),
        "another-credential": claims_with(credential_id=str(uuid4())),
    },
    "JSON serialisation": {
        "jws-json": jws_json(flattened=False),
        "jws-json-flattened": jws_json(flattened=True),
        "jws-json-without-signatures": jws_json(flattened=False, empty=True),
    },
    "encrypted tokens": {
        "jwe": lambda real: ".".join(
            [b64({"alg": "dir", "enc": "A128GCM", "zip": "DEF"}), *"abcd"]
        ),
        "five-parts": lambda real: real.text + ".YQ.YQ",
        "four-parts": lambda real: real.text + ".",
    },
    "size and depth": {
        "payload-deep": raw_claims(
            lambda text: text[:-1] + ', "x": ' + "[" * 2500 + "]" * 2500 + "}"
        ),
        "header-deep": lambda real: f"{b64('[' * 5000)}.{b64(real.claims)}.AAAA",
        "60kb": lambda real: real.text + "A" * 60_000,
        "header-60kb": lambda real: "A" * 60_000 + "." + real.text.partition(".")[2],
        "payload-number-of-5000-digits": raw_claims(
            lambda text: text[:-1] + ',"x":' + "9" * 5000 + "}"
        ),
        "payload-list": lambda real: sign(real.header, "[]"),
        "payload-text": lambda real: sign(real.header, '"x"'),
        "payload-empty": lambda real: sign(real.header, ""),
        "payload-not-utf8": lambda real: f"{b64(real.header)}.{b64(bytes([255, 254]))}.AAAA",
        "header-list": lambda real: f"{b64('[]')}.{b64(real.claims)}.AAAA",
    },
    "another spelling": {
        "padding": lambda real: real.text + "==",
        "padding-inside": edited(lambda parts: [parts[0] + "==", *parts[1:]]),
        "standard-alphabet": lambda real: real.text.replace("-", "+").replace("_", "/") + "+",
        "tab-inside": edited(
            lambda parts: [parts[0], parts[1][:9] + "\t" + parts[1][9:], parts[2]]
        ),
        "other-last-character": edited(lambda parts: [*parts[:2], other_spelling(parts[2])]),
        "not-ascii": lambda real: real.text[:-1] + "\xe9",
    },
    "another deployment": {
        "another-deployment": signed_by_stranger(),
        "garbage": lambda real: "garbage",
        "dots": lambda real: "..",
    },
}
