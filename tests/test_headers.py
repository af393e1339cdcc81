"""Headers that every response has, whatever its content."""

from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from tests.calls import call
from tests.endpoint import CLIENT, ORGANIZATION, PUBLIC
from tests.endpoints import ENDPOINTS, PAGES
from tests.tenants import Tenant

API = [each for each in ENDPOINTS if each.access in {ORGANIZATION, CLIENT}]
GUARDED = ("object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "default-src 'self'")


def headers_missing(answer: Any) -> list[str]:
    """The required headers that are missing from the response."""
    kind = answer.headers.get("Content-Type", "")
    policy = answer.headers.get("Content-Security-Policy", "")
    checks = {
        "nosniff": answer.headers.get("X-Content-Type-Options") == "nosniff",
        "referrer": answer.headers.get("Referrer-Policy") == "strict-origin",
        "frames": answer.headers.get("X-Frame-Options") == "DENY",
        "request id": bool(answer.headers.get("X-Request-Id")),
        "charset": not kind.startswith("text/") or "charset=utf-8" in kind,
        "policy": not kind.startswith("text/html") or all(part in policy for part in GUARDED),
        "nothing inline": "unsafe" not in policy,
        "no open CORS": answer.headers.get("Access-Control-Allow-Credentials") is None,
    }
    return [name for name, holds in checks.items() if not holds]


def is_private(answer: Any) -> bool:
    """Whether shared caches must not store the response."""
    control = answer.headers.get("Cache-Control", "")
    return "no-store" in control or "private" in control


def test_answers_of_the_api_are_private_and_guarded(ours: Tenant, client_for: ClientFor) -> None:
    client = client_for(ours.entitled(ours.agent, "agents:read", "audit:read", "tokens:read"))

    problems = {}
    for each in API:
        for caller in (client, Client()):
            answer = call(caller, each, ours)
            missing = headers_missing(answer) + ([] if is_private(answer) else ["private"])
            if missing:
                problems[str(each), answer.status_code] = missing

    assert problems == {}


@pytest.mark.parametrize("page", [each for each in PAGES if each.method == "GET"], ids=str)
def test_pages_are_private_and_guarded(page: Any, ours: Tenant) -> None:
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(ours.person("owner").user)

    answers = [call(browser, page, ours), call(Client(), page, ours)]

    assert [headers_missing(answer) for answer in answers] == [[], []]
    assert [is_private(answer) for answer in answers] == [True, True]


def test_public_answers_are_guarded_as_well(ours: Tenant) -> None:
    answers = {str(each): call(Client(), each, ours) for each in ENDPOINTS if each.access == PUBLIC}

    missing = {name: headers_missing(answer) for name, answer in answers.items()}
    assert {name: found for name, found in missing.items() if found} == {}


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("url", ["/nowhere", "/api/v1/nowhere", "/.well-known/x", "/a%00b"])
def test_an_unknown_address_is_guarded_as_well(db: None, url: str, accept: str) -> None:
    answer = Client(headers={"Accept": accept}).get(url)

    assert answer.status_code in {404, 302}
    assert headers_missing(answer) == []
    assert is_private(answer)


def test_no_other_site_may_read_an_answer(ours: Tenant, client_for: ClientFor) -> None:
    client = client_for(ours.person("owner"))

    allowed = {
        str(each): call(client, each, ours, Origin="https://evil.example").headers.get(
            "Access-Control-Allow-Origin"
        )
        for each in [*API, *PAGES]
    }

    assert set(allowed.values()) == {None}
