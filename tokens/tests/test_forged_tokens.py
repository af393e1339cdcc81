"""Forged and altered tokens are refused everywhere, without a server error."""

import socket
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.keys import key_ring, rotate_signing_key
from tokens.models import LoginSession, Revocation
from tokens.tests.clients import bearer
from tokens.tests.factories import access_token_for, person_refresh
from tokens.tests.forgery import (
    Forge,
    Parts,
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
    spellings_of_public_key,
    take_apart,
    time_claim,
    unsigned,
    unsigned_with_old_signature,
    with_embedded_key,
    with_other_signature_value,
)


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


@pytest.fixture
def real(agent: Agent) -> Parts:
    return take_apart(access_token_for(agent))


@pytest.fixture(autouse=True)
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on connections, which a verifier that follows jku or x5u would open."""

    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def assert_refused(asker: Client, text: str, name: str = "") -> None:
    """Assert that a protected route and introspection refuse the token."""
    answer = Client().get("/api/v1/agents", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 401, name
    assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_token"'), name
    assert answer.json()["code"] == "UNAUTHORIZED", name

    checked = asker.post("/api/v1/token/introspect", {"token": text})
    assert checked.status_code == 200, (name, checked.content)
    assert checked.content == b'{"active":false}', name


@pytest.fixture
def asker(organization: Organization) -> Client:
    """A client that may introspect."""
    return bearer(access_token_for(make_agent(organization, scopes=["tokens:read"])))


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


@pytest.mark.parametrize("what", FORGERIES)
def test_a_token_with_forged_parts_is_refused(real: Parts, asker: Client, what: str) -> None:
    for name, forge in FORGERIES[what].items():
        assert_refused(asker, forge(real), name)


def test_the_tools_make_tokens_that_would_work(real: Parts, client: Client) -> None:
    header = {"Authorization": f"Bearer {sign(real.header, real.claims)}"}

    assert client.get("/api/v1/agents", headers=header).status_code == 200


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize(
    "spelling",
    ["spki", "pkcs1", "crlf", "no-final-newline", "byte-order-mark", "der", "jwk", "jwks"],
)
def test_a_public_key_is_no_hmac_secret(
    real: Parts, asker: Client, spelling: str, algorithm: str
) -> None:
    key = spellings_of_public_key()[spelling]

    assert_refused(asker, hmac_with(key, algorithm)(real))


def test_a_removed_key_verifies_nothing(real: Parts, client: Client) -> None:
    new = rotate_signing_key("ES256", is_emergency=True)
    key_ring.forget()

    answer = client.get("/api/v1/agents", headers={"Authorization": f"Bearer {real.text}"})

    assert new.kid != real.header["kid"]
    assert answer.status_code == 401
    key_ring.forget()


def test_an_unknown_key_id_causes_no_query(real: Parts, client: Client) -> None:
    key_ring.by_kid("")

    with CaptureQueriesContext(connection) as queries:
        for number in range(20):
            forged = header_with(kid=f"unknown-{number}")(real)
            client.get("/api/v1/agents", headers={"Authorization": f"Bearer {forged}"})

    assert not [query for query in queries if "tokens_signingkey" in query["sql"]]


def test_claims_of_another_organization_are_refused(
    real: Parts, asker: Client, other_organization: Organization
) -> None:
    """We signed the token, but the agent belongs to another organization."""
    forged = claims_with(organization_id=other_organization.public_id)(real)

    assert_refused(asker, forged)


def test_an_agent_with_another_agents_credential_is_refused(
    real: Parts, asker: Client, organization: Organization
) -> None:
    other = take_apart(access_token_for(make_agent(organization)))

    assert_refused(asker, claims_with(credential_id=other.claims["credential_id"])(real))


def test_a_suspended_organization_has_no_live_tokens(
    real: Parts, client: Client, organization: Organization
) -> None:
    Organization.objects.filter(pk=organization.pk).update(status="suspended")
    header = {"Authorization": f"Bearer {real.text}"}

    assert client.get("/api/v1/agents", headers=header).status_code == 401


def test_the_other_signature_of_a_revoked_token_is_revoked_too(
    real: Parts, asker: Client, agent: Agent
) -> None:
    twin = with_other_signature_value(real.text)
    assert twin != real.text
    with organization_scope(agent.organization):
        Revocation.objects.create(
            organization=agent.organization,
            token_id=real.claims["jti"],
            expires_at=agent.created_at,
        )

    assert_refused(asker, real.text)
    assert_refused(asker, twin)


def test_other_secrets_are_no_access_tokens(
    organization: Organization, asker: Client, client: Client
) -> None:
    membership = make_membership(organization)
    session = LoginSession.objects.create(user=membership.user)
    refresh = str(person_refresh(membership, session))
    client.force_login(membership.user)

    for secret in (refresh, client.cookies["sessionid"].value, "sk_live_" + "x" * 43):
        assert_refused(asker, secret)


@pytest.mark.parametrize(("seconds", "status"), [(-1, 200), (-8, 401)])
def test_the_clock_may_be_five_seconds_off(
    real: Parts, client: Client, seconds: int, status: int
) -> None:
    header = {"Authorization": f"Bearer {time_claim('exp', seconds)(real)}"}

    assert client.get("/api/v1/agents", headers=header).status_code == status


def test_a_forged_token_is_refused_for_people_too(
    organization: Organization, asker: Client
) -> None:
    real = take_apart(access_token_for(make_membership(organization)))

    assert_refused(asker, claims_without("session_id")(real))
    assert_refused(asker, claims_with(session_id=str(uuid4()))(real))
    assert_refused(asker, claims_with(session_id=1)(real))
    assert_refused(asker, claims_with(token_use="agent")(real))
    assert_refused(asker, claims_with(sub=str(uuid4()))(real))
