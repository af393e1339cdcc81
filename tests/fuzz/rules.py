"""Rules for requests that a JSON Schema cannot express, applied to generated requests that the
document allows. That way the check that valid requests are accepted stays on for every operation.

Formats that a schema can express are part of the document (core/value_forms.py).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from core.keyset import MAX_CURSOR_LENGTH
from executions.models import ExecutionEvent
from tests.endpoint import Endpoint
from tests.tenants import PASSWORD, Tenant

Change = Callable[[Any, Tenant], Any]


@dataclass(frozen=True)
class Rule:
    """A rule; `change` takes the query or the body and returns it or a replacement."""

    why: str
    part: str
    change: Change


def parts_allowed(case: Any) -> set[str]:
    """The parts of the request that the document allows; the others are meant to be refused.

    An example is valid as a whole: only values added to it are generated.
    """
    if case.meta is None:
        return set()
    if case.meta.phase.name == TestPhase.EXAMPLES:
        return {part.value for part in ParameterLocation}
    parts = case.meta.components.items()
    return {part.value for part, info in parts if info.mode == GenerationMode.POSITIVE}


def keep(case: Any, row: Endpoint, tenant: Tenant) -> None:
    """Change the request to satisfy the operation's rule, where the document allows the request."""
    if case.query and "query" in parts_allowed(case):  # a valid cursor comes from a response
        case.query = {name: value for name, value in case.query.items() if name != "cursor"}
    cursor = (case.query or {}).get("cursor")
    # Still short enough for servers.
    if isinstance(cursor, str) and len(cursor) > MAX_CURSOR_LENGTH:
        case.query = case.query | {"cursor": "0" * len(cursor)}
    rule = RULES.get(str(row))
    if rule is None or rule.part not in parts_allowed(case):
        return
    if rule.part == "query" and case.query:
        case.query = rule.change(dict(case.query), tenant)
    elif rule.part == "body" and (isinstance(case.body, dict) or row.content):
        body = dict(case.body) if isinstance(case.body, dict) else case.body
        case.body = rule.change(body, tenant)
        (case.headers or {}).pop("Content-Range", None)  # it would have to match the body


def window(query: Any, tenant: Tenant) -> Any:
    if {"from", "to"} <= query.keys():
        query |= {"from": "0"}
        if not str(query["to"]).startswith("2"):  # it may lie in the past
            del query["to"]
    if {"from", "to"} & query.keys():
        query.pop("hours", None)
    return query


def request_window(query: Any, tenant: Tenant) -> Any:
    query = window(query, tenant)
    if {"from", "to"} & query.keys():
        query.pop("days", None)
    return query | ({"notAddress": "192.0.2.7,2001:db8::7"} if "notAddress" in query else {})


def past_month(query: Any, tenant: Tenant) -> Any:
    if "month" in query:
        year = 2000 + int(query["month"][:4]) % 25
        query["month"] = f"{year}{query['month'][4:]}"
    return query


def sequences(query: Any, tenant: Tenant) -> Any:
    first = int(query.get("fromSequence", 1)) % 10**9 + 1
    last = first + int(query.get("toSequence", 1)) % 1000
    return query | {"fromSequence": str(first), "toSequence": str(last)}


def future_end(body: Any, tenant: Tenant) -> Any:
    body = printable(body, tenant)
    if body.get("expiresAt"):
        body["expiresAt"] = f"29{body['expiresAt'][2:]}"
    return body


def own_member(body: Any, tenant: Tenant) -> Any:
    if "userId" in body:
        body["userId"] = str(tenant.newcomer.user_id)
    if "startedAt" in body:
        body["startedAt"] = "2026-01-01" + body["startedAt"][10:]
    return body


def valid_event(event: Any) -> Any:
    if event["kind"] in ExecutionEvent.PLAIN and not isinstance(event["message"], str):
        event["message"] = str(event["message"])
    elif event["kind"] not in ExecutionEvent.PLAIN:
        event["message"] = {"lid": "one", "more": event["message"]}
    if "timestamp" in event:
        event["timestamp"] %= time.time()
    return event


def events(body: Any, tenant: Tenant) -> Any:
    if "events" not in body:
        return valid_event(body)
    return body | {"events": [valid_event(event) for event in body["events"]]}


def good_path(body: Any, tenant: Tenant) -> Any:
    letters = "".join(letter for letter in body["path"] if letter.isascii() and letter.isalnum())
    return body | {"path": f"reports/file-{letters[:99]}.txt", "size": body["size"] % 2**20}


def good_password(body: Any, tenant: Tenant) -> Any:
    return printable(body, tenant) | {"password": PASSWORD}


def printable(body: Any, tenant: Tenant) -> Any:
    for label in {"name", "owner", "note"} & body.keys():
        text = "".join(letter for letter in body[label] if letter.isprintable()).strip()
        body = body | {label: text if len(text) > 1 else "Northwind"}
    return body


def of_a_person(body: Any, tenant: Tenant) -> Any:
    return {"role": "operator"} if body.get("role") == "member" else body


def own_address(body: Any, tenant: Tenant) -> Any:
    scopes = {each["name"]: each for each in body.get("scopes") or ()}
    new = {"identifier": f"https://mcp.example.com/{uuid4()}"} if "identifier" in body else {}
    found = printable(body, tenant) | new
    for each in scopes.values():
        if "description" in each:
            each["description"] = "Read files"
    return found | ({"scopes": list(scopes.values())[:10]} if "scopes" in body else {})


def granted(body: Any, tenant: Tenant) -> Any:
    return {"scopes": ["files:read"] if body["scopes"] else []}


def without_administration(body: Any, tenant: Tenant) -> Any:
    if "scopes" in body:
        body["scopes"] = [each for each in body["scopes"] if each != "admin:orgs"]
    return printable(body, tenant)


def one_proof(body: Any, tenant: Tenant) -> Any:
    """Remove the client's credentials from the body, since they are in the header."""
    proofs = ("client_id", "client_secret")
    form = {name: value for name, value in body.items() if name not in proofs and value}
    form.pop("resource", None)  # the client has a grant for no resource
    return form | ({"scope": "tokens:read"} if "scope" in form else {})


def whole_file(body: Any, tenant: Tenant) -> Any:
    return b"whole"


def rules(method: str, paths: str, part: str, change: Change, why: str) -> dict[str, Rule]:
    return {f"{method} {path}": Rule(why, part, change) for path in paths.split()}


ORGANIZATION = "/api/v1/organizations/{organizationId}"
EXECUTION = "/api/v1/executions/{executionId}"
RULES: dict[str, Rule] = {
    **rules(
        "POST",
        "/api/v1/token",
        "body",
        one_proof,
        "One proof of the client, and its own scopes.",
    ),
    **rules(
        "POST",
        "/api/v1/agents",
        "body",
        without_administration,
        "Only an admin member of the organization may hold admin:orgs; owners can be printed.",
    ),
    **rules(
        "PATCH", "/api/v1/agents/{agentId}", "body", without_administration, "The same for it."
    ),
    **rules(
        "GET",
        "/api/dashboard/running-agents /api/dashboard/errors /api/dashboard/error-groups "
        "/api/dashboard/timeline /api/dashboard/agent-stats",
        "query",
        window,
        "Either hours, or from and to; to is later than from.",
    ),
    **rules(
        "GET",
        "/api/v1/analytics/requests",
        "query",
        request_window,
        "Either days, or from and to; to is later than from; addresses are addresses.",
    ),
    **rules("GET", "/api/v1/analytics/agents", "query", past_month, "The month has begun."),
    **rules(
        "GET",
        "/api/v1/audit/export /api/v1/audit/verify",
        "query",
        sequences,
        "fromSequence is not above toSequence; so many are verified at once.",
    ),
    **rules(
        "POST",
        "/api/v1/agents/{agentId}/credentials "
        "/api/v1/agents/{agentId}/credentials/{credentialId}/rotate",
        "body",
        future_end,
        "It ends in the future; its name can be printed.",
    ),
    **rules(
        "PATCH",
        "/api/v1/agents/{agentId}/credentials/{credentialId}",
        "body",
        printable,
        "Names can be printed.",
    ),
    **rules(
        "POST",
        "/api/v1/executions",
        "body",
        own_member,
        "userId is a member's; it started from 1970 on, and not later than in a day.",
    ),
    **rules("POST", f"{EXECUTION}/events", "body", events, "A message has the form of its kind."),
    **rules("POST", f"{EXECUTION}/files", "body", good_path, "The path leads nowhere else."),
    **rules(
        "PUT", f"{EXECUTION}/uploads/{{uploadId}}", "body", whole_file, "The size was announced."
    ),
    **rules(
        "POST", "/api/v1/invitations/accept", "body", good_password, "It is not easily guessed."
    ),
    **rules("POST", "/api/v1/organizations", "body", printable, "Names can be printed."),
    **rules(
        "PUT",
        "/api/dashboard/error-groups/{fingerprint}/resolution",
        "body",
        printable,
        "Notes can be printed.",
    ),
    **rules("PATCH", ORGANIZATION, "body", printable, "Names can be printed."),
    **rules(
        "PATCH", f"{ORGANIZATION}/members/{{memberId}}", "body", of_a_person, "A person's role."
    ),
    **rules(
        "POST",
        "/api/v1/resources",
        "body",
        own_address,
        "An address of its own in normal form; scopes have different names.",
    ),
    **rules(
        "PATCH", "/api/v1/resources/{resourceId}", "body", own_address, "Scopes differ in name."
    ),
    **rules(
        "PUT",
        "/api/v1/resources/{resourceId}/agents/{agentId}",
        "body",
        granted,
        "The scopes are the resource's.",
    ),
}
