"""The token endpoint answers every request alike before Django and in Django."""

import base64
import io
import itertools
import json
import logging
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from prometheus_client import REGISTRY

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import TokenEvent
from tokens.oauth import token_door
from tokens.oauth.token_door import with_token_endpoint
from tokens.tests.clients import FORM, basic
from tokens.tests.factories import make_credential

PAIRS = 100
Environ = dict[str, Any]

django_application = get_wsgi_application()
servers_application = with_token_endpoint(django_application)


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, scopes=["agents:read", "tokens:read"])


@pytest.fixture
def good(agent: Agent) -> Environ:
    """A request that is answered with a token."""
    return plain(form(client_id=agent.pk, client_secret=make_credential(agent)[1]))


@pytest.fixture(autouse=True)
def one_transaction() -> Iterator[None]:
    """Stay in the transaction of the test: nothing may close its connection, as with the test
    client of Django."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(root.handlers[0].formatter)
    root.addHandler(handler)
    yield handler.stream
    root.removeHandler(handler)


def form(**parameters: Any) -> str:
    return urlencode({"grant_type": "client_credentials", **parameters})


def plain(body: str) -> Environ:
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/api/v1/token",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "3000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:3000",
        "CONTENT_TYPE": FORM,
        "body": body,
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
    }


def oddities(agent: Agent, secret: str) -> list[Environ]:
    """Single deviations from a good request."""
    known = {"client_id": str(agent.pk), "client_secret": secret}
    proof = form(**known)
    headers = [
        *(
            f"Bearer {secret}",
            "Basic",
            "Basic ???",
            "Basic eA==",
            "Digest x",
            "",
            "  ",
            "Basic a, b",
        ),
        basic(agent.pk, secret)["Authorization"],
        basic(agent.pk, "wrong")["Authorization"],
        basic(agent.pk, "ü%")["Authorization"],
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
    ]
    bodies = [
        *("", "grant_type=client_credentials", "=", "&&", "a", "%", "ü", "\x00", "a=%ff", "+"),
        *(proof + more for more in ("&", "&scope=", "&scope=agents:read", "&scope=agents:write")),
        *(proof + more for more in ("&scope=%22", "&scope=a++b", "&scope=agents:read+agents:read")),
        *(proof + more for more in ("&grant_type=client_credentials", "&resource=", "&resource=x")),
        *(proof + more for more in ("&resource=https://a.example&resource=https://b.example",)),
        proof + "&resource=https://a.example&resource=https://a.example",
        proof.replace("client_credentials", "password"),
        proof.replace("grant_type=client_credentials", ""),
        form(client_id=agent.pk, client_secret="wrong"),
        form(client_id=str(agent.pk).upper(), client_secret=secret),
        form(client_id=uuid4(), client_secret=secret),
        form(client_id="nobody", client_secret=secret),
        form(client_id=agent.pk, client_secret="x" * 5000),
        form(client_id=agent.pk),
        form(**known, **{f"p{n}": n for n in range(60)}),
        form(**known, much="x" * 70_000),
        form(**known, much="x" * 300_000),
        form(**known, scope="a" * 3000),
    ]
    different = {
        "REQUEST_METHOD": ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post", "BREW"],
        "PATH_INFO": ["/api/v1/token/", "//api/v1/token", "/api/v1/tokens", "/api/v1/token\x00"],
        "SCRIPT_NAME": ["/prefix"],
        "QUERY_STRING": ["a=1", "%00", "grant_type=client_credentials", "a" * 5000],
        "CONTENT_TYPE": [
            *("", "text/plain", "application/json", FORM.upper(), f"{FORM}; charset=utf-8"),
            *(f"{FORM}; charset=koi8-r", f"{FORM};", "multipart/form-data; boundary=x", "x" * 300),
        ],
        "CONTENT_LENGTH": ["", "abc", "-1", "1", "0", "9" * 6, "9" * 19, "\u0661"],
        "HTTP_AUTHORIZATION": headers,
        "HTTP_HOST": [
            *("localhost", "127.0.0.1:3000", "[::1]:3000", "evil.example", "a b", "localhost:x"),
            *("LOCALHOST:3000", "localhost.", "evil.example:3000", "[evil"),
        ],
        "HTTP_TRANSFER_ENCODING": ["chunked"],
        "HTTP_COOKIE": ['a="\\"; b=c', "sessionid=x"],
        "HTTP_X_REQUEST_ID": ["the-callers-own", "no", "with blank in it"],
        "HTTP_X_FORWARDED_PROTO": ["https", "http", "https, http", "gopher"],
        "HTTP_X_FORWARDED_FOR": ["192.0.2.1", "nonsense"],
        "HTTP_X_FORWARDED_HOST": ["evil.example"],
        "HTTP_USER_AGENT": ["x" * 3000, "\x00"],
        "HTTP_ACCEPT": ["text/html", "application/xml", "*/*"],
        "REMOTE_ADDR": ["", "2001:db8::1", "::ffff:192.0.2.9", "unix:"],
        "wsgi.url_scheme": ["https"],
        "body": bodies,
    }
    return [{name: value} for name, values in different.items() for value in values]


def odd_requests(good: Environ, agent: Agent, secret: str) -> list[Environ]:
    """Each deviation once, and random pairs of them."""
    odd = oddities(agent, secret)
    pairs = list(itertools.combinations(odd, 2))
    pairs = random.Random(7).sample(pairs, PAIRS)  # noqa: S311
    return [good, *({**good, **one} for one in odd), *({**good, **a, **b} for a, b in pairs)]


def play(application: Any, request: Environ, log: io.StringIO) -> dict[str, Any]:
    """The result of the request, without what differs each time. Its effects are rolled back."""
    body = request["body"].encode()
    environ = {"CONTENT_LENGTH": str(len(body)), **request, "wsgi.input": io.BytesIO(body)}
    started: list[Any] = []
    start = log.tell()
    counted = series()
    with transaction.atomic():
        parts = application(
            environ, lambda status, headers, exc_info=None: started.extend([status, headers])
        )
        text = b"".join(parts).decode()
        rows = recorded()
        transaction.set_rollback(True)
    status, headers = started
    log.seek(start)
    return {
        "status": status,
        "headers": sorted((name, value) for name, value in headers if name != "X-Request-Id"),
        "has id": len(dict(headers)["X-Request-Id"]),
        "body": without_chance(text),
        "log": [without_times(line) for line in log.read().splitlines()],
        "rows": rows,
        "counted": {name: value - counted.get(name, 0) for name, value in series().items()},
    }


def series() -> dict[Any, float]:
    names = ["http_requests_total", "agentidp_token_requests_total"]
    metrics = REGISTRY.restricted_registry(names).collect()
    samples = (each for metric in metrics for each in metric.samples)
    found = {(s.name, *sorted(s.labels.items())): s.value for s in samples}
    return {name: value for name, value in found.items() if value}


def recorded() -> list[Any]:
    fields = (
        "outcome",
        "reason",
        "agent_id",
        "credential_id",
        "scope",
        "ip_address",
        "secret_hint",
    )
    rows: list[Any] = []
    for organization in Organization.objects.order_by("pk"):
        with organization_scope(organization):
            rows += TokenEvent.objects.values_list(*fields)
            rows += AuditEvent.objects.values_list("action", "actor_label", "ip_address")
    return rows


def without_chance(text: str) -> Any:
    try:
        body = json.loads(text)
    except ValueError:
        return text
    if token := body.get("access_token"):
        claims = jwt.decode(token, options={"verify_signature": False})
        body["access_token"] = [
            jwt.get_unverified_header(token),
            {**claims, "jti": "", "iat": 0, "exp": 0},
        ]
    return body


def without_times(line: str) -> dict[str, Any]:
    event = json.loads(line)
    return {**event, "timestamp": "", "milliseconds": 0, "request_id": ""}


@pytest.mark.slow
def test_both_doors_answer_odd_requests_alike(
    good: Environ, agent: Agent, log: io.StringIO
) -> None:
    secret = make_credential(agent)[1]
    requests = odd_requests(good, agent, secret)
    assert len(requests) > 200

    differing = []
    for request in requests:
        by_django = play(django_application, request, log)
        by_server = play(servers_application, request, log)
        differing += [
            (name, {key: request[key] for key in request if request[key] != good.get(key)}, *both)
            for name in by_django
            if (both := (by_django[name], by_server[name]))[0] != both[1]
        ]

    assert not differing, "\n".join(map(str, differing[:12]))


def test_a_failure_is_answered_and_logged_alike(
    good: Environ, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a fault in the code")

    monkeypatch.setattr("tokens.oauth.token.issue_token", fail)

    by_django = play(django_application, good, log)
    by_server = play(servers_application, good, log)

    assert by_server["status"] == "500 Internal Server Error"
    assert by_server["body"]["error"] == "server_error"
    assert [line["event"] for line in by_server["log"]] == ["unhandled_error", "request"]
    assert by_server == by_django


def test_a_plain_request_never_reaches_django(good: Environ, log: io.StringIO) -> None:
    def django(*args: Any) -> Any:
        raise AssertionError

    assert play(with_token_endpoint(django), good, log)["status"] == "200 OK"


@pytest.mark.parametrize("name", ["HTTP_HOST", "HTTP_X_FORWARDED_PROTO"])
def test_nothing_is_kept_of_long_headers(good: Environ, log: io.StringIO, name: str) -> None:
    kept = token_door._added_by_guards.cache_info().currsize
    long = {**good, name: "x" * 60_000}

    assert play(servers_application, long, log) == play(django_application, long, log)
    assert token_door._added_by_guards.cache_info().currsize == kept
