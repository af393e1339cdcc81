"""No input causes a 5xx; every refusal has the same form and names the field."""

import json
import re
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from conftest import ClientFor
from core.tests.profiling import calls
from tests.calls import FORM, bearer_of, call
from tests.endpoint import Endpoint
from tests.endpoints import ENDPOINTS
from tests.routes import body_fields, body_schema, names_in, query_parameters
from tests.tenants import Tenant

JSON = "application/json"
WRITES = [each for each in ENDPOINTS if each.method != "GET"]
READS = [each for each in ENDPOINTS if each.method == "GET"]
JSON_WRITES = [each for each in ENDPOINTS if each.body and not each.is_form]
LONG = "9" * 5000

BAD_QUERIES = ["a=%00", "%00=a", "%ED%A0%80=%FF&=&&%", "a=" + "x" * 10_000]
BAD_QUERIES += ["__class__=1&_connector=OR&organization__slug=x"]
BAD_NUMBERS = ["0", "-1", "1000000000", LONG, "1e3", "0x10", "%D9%A3", "1.0", "%201", "", "null"]
BAD_TEXTS = [
    "%00",
    "%ED%A0%80",
    "%FF",
    "(a%2B)%2B%24",
    "%25%25%25%25",
    "'",
    "x" * 10_000,
    "[]",
    "__",
]
BAD_IDS = ["%00", "a%00b", "%ED%A0%80", "..%2f..%2fetc", "x" * 5000, "%0d%0aX-Evil:1", "0", "'"]

FRAMEWORK_WORDS = re.compile(rb"non_field_errors|dictionary")
NO_JSON = {
    "nothing": b"",
    "an array": b"[]",
    "null": b"null",
    "a number": b"1",
    "a text": b'"x"',
    "cut off": b'{"a"',
    "no UTF-8": b'{"a": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a name twice": b'{"email": 1, "email": 2}',
    "NUL in a name": b'{"a\\u0000": 1}',
    "NUL in a text": b'{"email": "\\u0000"}',
    "half a surrogate pair": b'{"email": "\\ud800"}',
    "half a pair in a name": b'{"\\udfff": 1}',
    "depth 65": b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
    "depth 100000": b"[" * 100_000 + b"]" * 100_000,
    "5000 digits": b'{"a": ' + LONG.encode() + b"}",
    "1e400": b'{"graceSeconds": 1e400, "a": 1}',
    "900 KB of long names": json.dumps({"a" * 90 + str(n): 1 for n in range(9_000)}).encode(),
    "200 KB of names": json.dumps({f"a{number}": 1 for number in range(20_000)}).encode(),
}
MAX_ANSWER_BYTES = 32 * 1024
"""Bytes of an error, pages included, whatever was sent."""
WRONG_VALUES: list[Any] = [{}, {"a": 1}, [[]], [{}], 10**30, -1, 1.5, True, None, ""]
HUGE_VALUES: list[Any] = [[{}] * 20_000, "x" * 900_000, {f"a{n}": 1 for n in range(9_000)}]
HOSTILE_HEADERS = [
    {"Accept": "application/xml", "Accept-Language": "x," * 5000, "If-None-Match": "x" * 10_000},
    {"Accept": "text/html", "Range": "bytes=" + "0-1," * 1000, "Content-Encoding": "gzip"},
    {"Accept": "x" * 10_000, "If-Modified-Since": "yesterday", "Cookie": "a=b; " * 1000},
    {"Accept": ";;q=,/", "X-Request-Id": "\x1b[31m" + "x" * 1000},
    {
        "Accept": "application/json; version=" + LONG,
        "X-Forwarded-For": "not, an, address",
        "User-Agent": "\u2028\x1b" + "x" * 10_000,
    },
]


@pytest.fixture
def caller(ours: Tenant, client_for: ClientFor) -> Client:
    """The owner, with both a session and a bearer token."""
    client = client_for(ours.person("owner"))
    client.force_login(ours.person("owner").user)
    return client


def undone(client: Client, endpoint: Endpoint, tenant: Tenant, **how: Any) -> Any:
    """Call the endpoint and roll back, so that the next call finds the same state."""
    how.setdefault("ids", endpoint.ids(tenant))
    if not endpoint.role:
        client = bearer_of(endpoint, tenant)
    if "content" not in how:
        how.setdefault("body", endpoint.body and endpoint.body(tenant))
    with transaction.atomic():
        answer = call(client, endpoint, tenant, **how)
        if answer.streaming:
            b"".join(answer)
        transaction.set_rollback(True)
    return answer


def complaint(answer: Any, endpoint: Endpoint, field: str = "") -> str:
    """What is wrong with the error response; empty if it is correct."""
    if answer.status_code >= 500:
        return f"{answer.status_code}"
    if (
        answer.status_code >= 400
        and not answer.streaming
        and len(answer.content) > MAX_ANSWER_BYTES
    ):
        return f"{answer.status_code} with {len(answer.content)} bytes"
    is_api = endpoint.path.startswith("/api/")
    if answer.status_code < 400 or not is_api or answer["Content-Type"] == "text/html":
        return ""
    body = answer.json()
    names = {"error"} if endpoint.is_form else {"code", "message"}
    if not names <= body.keys() <= names | {"details", "error_description"}:
        return f"{answer.status_code} {body}"
    if field and answer.status_code == 400 and field not in body.get("details", {}):
        return f"{field} is not named: {body}"
    return ""


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_no_query_is_too_bad(endpoint: Endpoint, ours: Tenant, caller: Client) -> None:
    problems = {}
    for query in BAD_QUERIES:
        answer = undone(caller, endpoint, ours, query=query)
        if problem := complaint(answer, endpoint):
            problems[query[:30]] = problem

    assert problems == {}


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if query_parameters(e)], ids=str)
def test_a_bad_parameter_is_named(endpoint: Endpoint, ours: Tenant, caller: Client) -> None:
    problems = {}
    for name, schema in query_parameters(endpoint).items():
        is_number = schema.get("type") == "integer"
        for value in BAD_NUMBERS if is_number else BAD_TEXTS:
            # The middleware refuses NUL before the parameters are parsed.
            field = "" if "%00" in value else name
            answer = undone(caller, endpoint, ours, query=f"{name}={value}")
            problem = complaint(answer, endpoint, field)
            is_good = value == "1000000000" and schema.get("maximum", 10**9) >= 10**9
            is_good |= value == "0" and schema.get("minimum") == 0
            if is_number and not is_good and answer.status_code != 400:
                problem = f"{answer.status_code} instead of 400"
            if problem:
                problems[f"{name}={value[:30]}"] = problem

    assert problems == {}


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if names_in(e.path)], ids=str)
def test_no_id_is_too_bad(endpoint: Endpoint, ours: Tenant, caller: Client) -> None:
    own = endpoint.ids(ours)
    answers = {
        f"{name}={bad[:30]}": undone(caller, endpoint, ours, ids=own | {name: bad}).status_code
        for name in own
        for bad in BAD_IDS
    }

    assert answers == dict.fromkeys(answers, 404)


@pytest.mark.parametrize("endpoint", JSON_WRITES, ids=str)
def test_no_json_is_too_bad(endpoint: Endpoint, ours: Tenant, caller: Client) -> None:
    ids = endpoint.ids(ours)
    required = bool(body_schema(endpoint).get("required"))
    problems = {}
    for kind, content in NO_JSON.items():
        answer = undone(caller, endpoint, ours, ids=ids, content=content)
        problem = complaint(answer, endpoint)
        is_empty = kind == "nothing" and not required
        if not is_empty and not 400 <= answer.status_code < 500:
            problem = f"{answer.status_code} instead of 4xx"
        if FRAMEWORK_WORDS.search(answer.content):
            problem = f"the words of a framework: {answer.content!r}"
        if problem:
            problems[kind] = problem

    assert problems == {}


@pytest.mark.parametrize("endpoint", JSON_WRITES, ids=str)
def test_a_wrong_value_is_refused_with_its_field(
    endpoint: Endpoint, ours: Tenant, caller: Client
) -> None:
    ids = endpoint.ids(ours)
    problems = {}
    kinds: dict[str, str] = {}
    for name, schema in body_fields(endpoint).items():
        takes_all = not schema.keys() - {"description", "nullable"}
        takes_objects = takes_all or schema.get("type") == "object"
        huge = HUGE_VALUES if kinds.setdefault(str(schema), name) == name else ["x" * 20_000]
        for value in WRONG_VALUES + huge:
            assert endpoint.body is not None
            body = endpoint.body(ours) | {name: value}
            answer = undone(caller, endpoint, ours, ids=ids, body=body)
            problem = complaint(answer, endpoint, name)
            is_wrong = isinstance(value, dict) and not takes_objects
            is_too_large = endpoint.access == "public" and answer.status_code == 413
            if is_wrong and answer.status_code != 400 and not is_too_large:
                problem = f"{answer.status_code} instead of 400"
            if problem:
                problems[f"{name}={str(value)[:30]}"] = problem

    assert problems == {}


@pytest.mark.parametrize("endpoint", JSON_WRITES, ids=str)
def test_another_content_type_is_refused(endpoint: Endpoint, ours: Tenant, caller: Client) -> None:
    answers = {
        kind: undone(caller, endpoint, ours, content=b"a=1", content_type=kind).json().get("code")
        for kind in ("text/plain", "application/xml", "multipart/form-data", FORM, "x")
    }

    assert answers == dict.fromkeys(answers, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_of_more_than_a_megabyte_is_refused(ours: Tenant, caller: Client) -> None:
    content = b'"' + b"x" * 1024 * 1024 + b'"'

    answers = {
        str(each): undone(caller, each, ours, content=content).status_code for each in WRITES
    }

    assert answers == dict.fromkeys(answers, 413)


def test_a_form_of_more_than_sixty_four_kilobytes_is_refused(ours: Tenant, caller: Client) -> None:
    content = b"token=" + b"x" * 64 * 1024

    answers = {
        str(each): undone(caller, each, ours, content=content).status_code
        for each in WRITES
        if each.is_form
    }

    assert answers == dict.fromkeys(answers, 413)


def test_an_address_that_answers_would_repeat_is_refused(ours: Tenant, caller: Client) -> None:
    long = "x" * 8200

    assert caller.get(f"/agents?q={long}").status_code == 414
    assert caller.get(f"/api/v1/agents?q={long}").json()["code"] == "URI_TOO_LONG"
    assert Client().get(f"/executions/{long}").status_code == 404
    assert len(Client().get("/agents?q=" + "%22" * 2_700)["Location"]) < 32 * 1024


def test_an_error_names_the_first_fields_and_how_many_more_there_are(client: Client) -> None:
    body = {f"name {number:05}": 1 for number in range(2_000)}

    answer = client.post("/api/v1/auth/login", body, content_type=JSON).json()

    unknown = ["This field is unknown or cannot be set."]
    named = {f"name {number:05}": unknown for number in range(20)}
    assert answer["details"] == named | {"...": ["and 1,980 more"]}


def test_a_body_without_its_length_is_not_taken_for_an_empty_one(
    ours: Tenant, caller: Client
) -> None:
    chunked = {"Transfer-Encoding": "chunked", "Content-Length": ""}

    answers = {
        str(each): undone(caller, each, ours, content=b"{}", **chunked).status_code
        for each in WRITES
    }

    assert answers == dict.fromkeys(answers, 411)


@pytest.mark.parametrize("length", ["9" * 5000, "1e9", "-1", "²", "x", "1, 1"])
def test_a_length_that_is_no_number_is_refused(db: None, length: str) -> None:
    answer = Client().generic("POST", "/api/v1/token", "a=1", FORM, CONTENT_LENGTH=length)

    assert answer.status_code == 400


@pytest.mark.parametrize("endpoint", READS, ids=str)
def test_no_header_is_too_bad(endpoint: Endpoint, ours: Tenant, caller: Client) -> None:
    problems = {}
    for headers in HOSTILE_HEADERS:
        answer = undone(caller, endpoint, ours, **headers)
        problem = complaint(answer, endpoint)
        if "\x1b" in str(answer.headers):
            problem = "The header came back."
        if problem:
            problems[str(headers)[:60]] = problem

    assert problems == {}


@pytest.mark.parametrize("escaped", ["\\" * 60_000, "\\0" * 30_000], ids=["quotes", "numbers"])
def test_cookies_of_escape_sequences_cost_nothing(
    ours: Tenant, signed_in: Any, escaped: str
) -> None:
    browser = signed_in(ours.person("owner"))
    cookies = browser.cookies.output(attrs=[], header="", sep=";")

    def ask(first: str) -> None:
        answer = browser.get("/agents", headers={"Cookie": f'a="{first}";{cookies};b="\\"'})
        assert answer.status_code == 200

    ask("")
    assert calls(lambda: ask(escaped)) < 2 * calls(lambda: ask(""))


@pytest.mark.slow
def test_an_unknown_method_is_refused(ours: Tenant, caller: Client) -> None:
    urls = {each.path.format(**each.ids(ours)) for each in ENDPOINTS}
    before = ours.rows()

    answers = {}
    for url in urls:
        for method in ("TRACE", "PROPFIND", "CONNECT", "GE T"):
            with transaction.atomic():
                answers[method, url] = caller.generic(method, url).status_code

    assert {each: status for each, status in answers.items() if status not in {404, 405}} == {}
    assert ours.rows() == before
