"""Every request that changes something can be repeated after its response was lost: nothing is
done twice, nothing that was promised is withdrawn, and the response equals the first or explains
why not. The same holds for two concurrent requests, each in its own transaction.
"""

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client

from organizations.models import Attempt
from pages.sent_forms import SENT_TWICE, TOKEN
from tests.calls import bearer_of, call
from tests.endpoint import PAGE, PUBLIC, Endpoint
from tests.endpoints import CREDENTIAL_PAGE, CREDENTIAL_PAGES, ENDPOINTS
from tests.routes import operation
from tests.tenants import Tenant, all_rows
from tokens.keys import make_first_key

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
CHANGING = [each for each in ENDPOINTS if each.method != "GET"]


@dataclass(frozen=True)
class Again:
    """The second response, where it differs from the first."""

    why: str
    status: int = 200
    code: str = ""
    """The error code in the body; for a page, a sentence."""
    adds: tuple[str, ...] = ()
    """Further tables to which the second request may write."""


RECORDS = ("organizations_auditchain", "organizations_auditevent")
FOLDED = (  # changes and what they are added to, whenever nobody else does so
    "executions_storedchange",
    *(f"executions_{each}" for each in ("endedchange", "endedcount", "endedintime")),
    *(f"executions_{each}" for each in ("errorchange", "errorcount")),
)
GUESSES = ("organizations_attempt",)
TRAFFIC = (
    *(f"analytics_{each}usage" for each in ("hour", "quarter", "agentday", "agentmonth")),
    "tokens_tokenevent",
    "tokens_monthlyusage",
)
GONE = Again("It is gone.", 404, "NOT_FOUND")
SHOWN = Again("The secret is not kept.", 409, "SECRET_SHOWN_ONCE")
NEW_TOKENS = (
    "Whoever lost the answer needs tokens; those of the first time live as long as they do."
)
SHOWN_ON_PAGE = Again("The secret is not kept.", 302)
LOST_SESSION = Again("Its session has ended, with the first request.", 401, "UNAUTHORIZED")

OTHERWISE = {
    "POST /api/v1/token": Again(NEW_TOKENS, adds=TRAFFIC),
    "POST /api/v1/token/introspect": Again("Each look is recorded.", adds=(*TRAFFIC, *GUESSES)),
    "POST /api/v1/auth/login": Again(NEW_TOKENS, adds=("tokens_loginsession", *RECORDS, *GUESSES)),
    "POST /api/login": Again(NEW_TOKENS, adds=("tokens_loginsession", *RECORDS, *GUESSES)),
    "POST /api/v1/auth/refresh": Again(NEW_TOKENS, adds=GUESSES),
    "POST /api/v1/auth/switch": Again(NEW_TOKENS, adds=(*RECORDS, *GUESSES)),
    "POST /docs/token": Again(NEW_TOKENS, adds=GUESSES),
    "POST /api/v1/auth/logout": LOST_SESSION,
    "DELETE /api/v1/organizations/{organizationId}": LOST_SESSION,
    "POST /api/v1/organizations/{organizationId}/invitations": SHOWN,
    "POST /api/v1/invitations/accept": Again(
        "The link works once.", 404, "INVITATION_NOT_FOUND", adds=GUESSES
    ),
    "DELETE /api/v1/agents/{agentId}": Again("", 409, "AGENT_ALREADY_DECOMMISSIONED"),
    "POST /api/v1/agents/{agentId}/credentials": SHOWN,
    "POST /api/v1/agents/{agentId}/credentials/{credentialId}/rotate": SHOWN,
    "DELETE /api/v1/agents/{agentId}/credentials/{credentialId}": Again(
        "", 409, "CREDENTIAL_ALREADY_REVOKED"
    ),
    "POST /api/v1/executions/{executionId}/files": Again("Nothing was created now."),
    "POST /password/reset/{token}": Again("The link works once.", 404, "sign in with that"),
    "POST /invitations/{token}": Again("The link works once.", 404, "sign in"),
    "POST /agents/new": SHOWN_ON_PAGE,
    f"POST {CREDENTIAL_PAGES}/new": SHOWN_ON_PAGE,
    f"POST {CREDENTIAL_PAGE}/rotate": SHOWN_ON_PAGE,
    "POST /members/invitations": SHOWN_ON_PAGE,
}
AT_ONCE = {
    "POST /password/reset/{token}": (400, ("This link was used",)),
    "POST /invitations/{token}": (400, ("it was used",)),
    "POST /password": (400, ("changed a moment ago", "This is not your password")),
    "POST /email": (400, ("changed a moment ago",)),
}
"""Different errors, with their possible texts, for a second request that arrives during the first:
these operations commit their counters and hold no lock while they hash a password. Where the first
ends before the second checks its password, the password is another one.
"""
SAYS_NOTHING = {
    "POST /login": "They are signed in.",
    "POST /logout": "They are signed out.",
    "POST /organization": "They are there.",
    "POST /settings/delete": "They are no longer in the organization.",
}
"""Forms that redirect to the same page again without a message about the repetition."""


def again(endpoint: Endpoint) -> Again | None:
    """The expected second response; None if it equals the first."""
    default = GONE if endpoint.method == "DELETE" else None
    return OTHERWISE.get(str(endpoint), default)


def client_of(endpoint: Endpoint, tenant: Tenant) -> Client:
    if endpoint.access == PUBLIC or endpoint.path == "/api/v1/token":
        return Client(headers={"Accept": "*/*"})
    if endpoint.access == PAGE:
        browser = Client(headers={"Accept": "text/html"})
        browser.force_login(tenant.person("owner").user)
        return browser
    return bearer_of(endpoint, tenant)


def takes_a_key(endpoint: Endpoint) -> bool:
    parameters = operation(endpoint).get("parameters", ())
    return any(each["name"] in KEY for each in parameters)


def same_request(endpoint: Endpoint, tenant: Tenant) -> dict[str, Any]:
    """What both requests share: the ids, the body, and the form's page or the key."""
    body = endpoint.body(tenant) if endpoint.body else None
    if endpoint.is_form and not endpoint.is_documented:
        body = {**(body or {}), TOKEN: "t" * 64}
    return {
        "ids": endpoint.ids(tenant),
        "body": body,
        **(KEY if takes_a_key(endpoint) else {}),
    }


@pytest.mark.parametrize("endpoint", CHANGING, ids=str)
def test_the_second_request_does_no_harm(endpoint: Endpoint, ours: Tenant) -> None:
    client, request = client_of(endpoint, ours), same_request(endpoint, ours)
    Attempt.objects.all().delete()
    first = call(client, endpoint, ours, **request)
    assert first.status_code == endpoint.status, first.content
    before = all_rows(ours)

    second = call(client, endpoint, ours, **request)

    expected = again(endpoint)
    if expected is None:
        assert (second.status_code, second.content) == (first.status_code, first.content)
    else:
        assert second.status_code == expected.status, second.content
        assert expected.code in second.content.decode()
    if second.status_code == 302 and str(endpoint) not in SAYS_NOTHING:
        assert SENT_TWICE in str([str(each) for each in get_messages(second.wsgi_request)])
    after = all_rows(ours)
    written = {table for table in after if after[table] != before[table]}
    assert written <= set(expected.adds if expected else ()), endpoint


@pytest.mark.parametrize("endpoint", [each for each in CHANGING if takes_a_key(each)], ids=str)
def test_another_request_with_the_same_key_is_refused(endpoint: Endpoint, ours: Tenant) -> None:
    client, request = client_of(endpoint, ours), same_request(endpoint, ours)
    call(client, endpoint, ours, **request)
    before = all_rows(ours)

    other = call(client, endpoint, ours, **request, content=b'{"other": 1}')

    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert all_rows(ours) == before


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("endpoint", CHANGING, ids=str)
def test_both_at_the_same_moment_do_as_much_as_one(endpoint: Endpoint) -> None:
    alone, ours = Tenant("contoso"), Tenant("northwind")
    expected = again(endpoint)
    once = growth_by(endpoint, alone, 1, expected)[1]

    answers, twice = growth_by(endpoint, ours, 2, expected)

    statuses = sorted(answer.status_code for answer in answers)
    refusals = {expected.status} if expected else set()
    assert endpoint.status in statuses
    status, sentences = AT_ONCE.get(str(endpoint), (endpoint.status, ("",)))
    assert set(statuses) <= {endpoint.status, status, *refusals}
    for answer in answers:
        text = answer.content.decode()
        assert answer.status_code != status or any(each in text for each in sentences)
    assert twice == once


def growth_by(
    endpoint: Endpoint, tenant: Tenant, number: int, expected: Again | None
) -> tuple[list[Any], dict[str, int]]:
    """The responses to that many concurrent requests, and the number of new rows in each table."""
    make_first_key()
    request = same_request(endpoint, tenant)
    first = client_of(endpoint, tenant)
    clients = [copy(first) for _ in range(number)]
    for each in clients:
        each.cookies = first.cookies.copy()
    Attempt.objects.all().delete()
    before, start = all_rows(tenant), Barrier(number)

    def ask(client: Client) -> Any:
        try:
            start.wait(10)
            return call(client, endpoint, tenant, **request, commits=True)
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        answers = list(pool.map(ask, clients))
    after = all_rows(tenant)
    left_out = {*FOLDED, *RECORDS, *GUESSES, *(expected.adds if expected else ())}
    tables = after.keys() - left_out
    return answers, {table: len(after[table]) - len(before[table]) for table in sorted(tables)}


def test_every_exception_is_an_endpoint() -> None:
    assert OTHERWISE.keys() | SAYS_NOTHING.keys() <= {str(each) for each in CHANGING}
