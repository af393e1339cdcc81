"""Following the cursor of an API list returns every row that existed exactly once, while rows
are added and removed. test_growing_pages.py covers the pages.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conftest import ClientFor
from tests.calls import call
from tests.endpoint import Endpoint
from tests.endpoints import ENDPOINTS
from tests.routes import query_parameters
from tests.tenants import Tenant

LISTS = [each for each in ENDPOINTS if "cursor" in query_parameters(each)]
ANY_LIST = pytest.mark.parametrize("endpoint", LISTS, ids=str)
OLD, SIZE = 6, 2
OF_ITS_OWN = {"/timeline"}
"""It follows an execution's id, as in kodosumi's panel; see test_timeline.py."""
FROM_NOW = ("sparkline", "runtime")
"""Fields whose value depends on the current time."""


BY_ID = {"/timeline/list"}
"""Lists whose pages may also begin after an execution's id instead of a number."""
BY_NUMBER = pytest.mark.parametrize("endpoint", [e for e in LISTS if e.path not in BY_ID], ids=str)


def size_of(endpoint: Endpoint) -> str:
    return "limit" if "limit" in query_parameters(endpoint) else "pp"


def instead_of(endpoint: Endpoint) -> str:
    return "page" if "page" in query_parameters(endpoint) else "offset"


def caller(client_for: ClientFor, tenant: Tenant, endpoint: Endpoint) -> Client:
    """A caller who sees all rows, including those of `Endpoint.rows`."""
    role = endpoint.role if endpoint.caller == "person" else "owner"
    return client_for(tenant.person(role))


def fill(endpoint: Endpoint, tenant: Tenant, number: int) -> None:
    assert endpoint.rows is not None, f"{endpoint}: say how to give it more rows."
    endpoint.rows(tenant, number)


class Reader:
    """Reads a list page by page from the start."""

    def __init__(self, client: Client, endpoint: Endpoint, tenant: Tenant) -> None:
        self.client, self.endpoint, self.tenant = client, endpoint, tenant
        self.cursor: str | None = None
        self.rows: list[str] = []

    def get(self, query: str) -> Any:
        query = query.replace("limit=", f"{size_of(self.endpoint)}=")
        return call(self.client, self.endpoint, self.tenant, query=query)

    def read_page(self, size: int = SIZE) -> bool:
        """Read the next page; return whether there is another."""
        answer = self.get(f"limit={size}" + (f"&cursor={self.cursor}" if self.cursor else ""))
        body = answer.json()
        assert answer.status_code == 200, body
        self.rows += [written(row) for row in body[self.endpoint.rows_key]]
        self.cursor = body["nextCursor"] if "nextCursor" in body else body["next_cursor"]
        link = answer.headers.get("Link")
        assert (link is None) is (self.cursor is None)
        if link is not None:
            assert link.endswith('; rel="next"')
            assert link.startswith("<http://testserver/")
        return self.cursor is not None

    def read_all(self, size: int = SIZE) -> list[str]:
        while self.read_page(size):
            pass
        return self.rows


def written(row: dict[str, Any]) -> str:
    return json.dumps({name: row[name] for name in row if name not in FROM_NOW}, sort_keys=True)


@contextmanager
def held_back(write: Callable[[], None]) -> Iterator[None]:
    """Write on another connection that commits only after the block."""
    has_written, may_commit = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with transaction.atomic():
                write()
                has_written.set()
                assert may_commit.wait(30)
        except BaseException as failure:
            failures.append(failure)
        finally:
            has_written.set()
            connection.close()

    writer = threading.Thread(target=run)
    writer.start()
    try:
        assert has_written.wait(30)
        yield
    finally:
        may_commit.set()
        writer.join(30)
    assert failures == []


def test_every_list_that_has_pages_has_a_cursor() -> None:
    with_pages = {
        each.path
        for each in ENDPOINTS
        if {"page", "limit", "offset", "pp"} & query_parameters(each).keys()
    }

    assert with_pages - OF_ITS_OWN == {each.path for each in LISTS}
    assert len(LISTS) >= 15


@pytest.mark.django_db(transaction=True)
@ANY_LIST
def test_every_row_comes_once_while_others_come(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    endpoint.ids(ours)
    fill(endpoint, ours, OLD)
    before = Reader(client, endpoint, ours).read_all(100)
    reader = Reader(client, endpoint, ours)

    with held_back(lambda: fill(endpoint, ours, 2)):
        reader.read_page()
    fill(endpoint, ours, 2)
    reader.read_page()
    fill(endpoint, ours, 1)
    reader.read_all()

    found = Counter(reader.rows)
    assert {row: found[row] for row in before} == dict.fromkeys(before, 1)
    assert max(found.values()) == 1
    assert len(before) >= OLD


@ANY_LIST
def test_its_pages_together_are_the_whole_in_the_same_order(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    fill(endpoint, ours, OLD)

    whole = Reader(client, endpoint, ours).read_all(100)

    assert Reader(client, endpoint, ours).read_all(1) == whole
    assert Reader(client, endpoint, ours).read_all(len(whole)) == whole
    assert Reader(client, endpoint, ours).read_all(len(whole) - 1) == whole


@BY_NUMBER
def test_numbers_lead_to_the_same_pages_and_are_read_on_from(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    fill(endpoint, ours, OLD)
    reader = Reader(client, endpoint, ours)
    whole = Reader(client, endpoint, ours).read_all(100)
    name, second, beyond = (
        ("page", 2, 999) if instead_of(endpoint) == "page" else ("offset", SIZE, 999)
    )

    by_number = reader.get(f"limit={SIZE}&{name}={second}").json()
    last = reader.get(f"limit={SIZE}&{name}={beyond}")

    rows = [written(row) for row in by_number[endpoint.rows_key]]
    assert rows == whole[SIZE : 2 * SIZE]
    assert by_number[name] == second
    reader.cursor = by_number.get("nextCursor") or by_number.get("next_cursor")
    assert reader.read_all() == whole[2 * SIZE :]
    assert (last.status_code, last.json()[endpoint.rows_key]) == (200, [])
    assert (last.json().get("nextCursor"), last.headers.get("Link")) == (None, None)


@BY_NUMBER
def test_a_cursor_counts_on_and_the_total_is_that_of_now(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    fill(endpoint, ours, OLD)
    reader = Reader(client, endpoint, ours)
    number = len(Reader(client, endpoint, ours).read_all(100))
    reader.read_page()

    second = reader.get(f"limit={SIZE}&cursor={reader.cursor}").json()

    if instead_of(endpoint) == "page":
        assert (second["page"], second["limit"]) == (2, SIZE)
    else:
        assert (second["offset"], second["limit"], second["has_more"]) == (SIZE, SIZE, True)
    assert second.get("total", second.get("total_events", number)) == number


@ANY_LIST
def test_a_later_page_takes_as_many_queries_for_twenty_rows_as_for_few(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    fill(endpoint, ours, OLD)
    few = queries_of_second_page(Reader(client, endpoint, ours), 2)
    fill(endpoint, ours, 20)

    many = queries_of_second_page(Reader(client, endpoint, ours), 20)

    assert len(many) == len(few), "\n".join(many)


def queries_of_second_page(reader: Reader, size: int) -> list[str]:
    reader.read_page(2)
    with CaptureQueriesContext(connection) as captured:
        reader.read_page(size)
    statements = [query["sql"] for query in captured.captured_queries]
    return [each for each in statements if "tokens_signingkey" not in each]


def first_cursor(client: Client, endpoint: Endpoint, tenant: Tenant) -> str:
    fill(endpoint, tenant, OLD)
    reader = Reader(client, endpoint, tenant)
    assert reader.read_page()
    assert reader.cursor
    return reader.cursor


@ANY_LIST
def test_only_the_cursor_of_this_list_is_taken(
    endpoint: Endpoint, ours: Tenant, theirs: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    cursor = first_cursor(client, endpoint, ours)
    foreign = first_cursor(caller(client_for, theirs, endpoint), endpoint, theirs)
    middle = len(cursor) // 3
    altered = [
        cursor[:-1] + ("A" if cursor[-1] != "A" else "B"),
        cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :],
        cursor + "A",
        cursor.partition(":")[0],
        foreign,
        "",
        "1",
        "\u2028",
        "null",
        "x" * 4000,
    ]
    reader = Reader(client, endpoint, ours)

    answers = [reader.get(f"limit={SIZE}&cursor={each}") for each in altered]

    assert reader.get(f"limit={SIZE}&cursor={cursor}").status_code == 200
    for text, answer in zip(altered, answers, strict=True):
        assert answer.status_code == 400, text
        assert answer.json()["code"] == "VALIDATION_ERROR"
        assert list(answer.json()["details"]) == ["cursor"]


@ANY_LIST
def test_a_cursor_stands_in_place_of_the_number(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    cursor = first_cursor(client, endpoint, ours)
    name = instead_of(endpoint)

    answer = Reader(client, endpoint, ours).get(f"cursor={cursor}&{name}=1")

    assert answer.status_code == 400
    assert answer.json()["details"] == {"cursor": [f"Give either {name} or cursor."]}


FILTERED = {
    "/api/v1/audit": "outcome=success",
    "/api/v1/agents": "status=active",
    "/api/v1/executions": "status=finished",
    "/api/dashboard/running-agents": "hours=5",
    "/api/dashboard/errors": "search=e",
    "/api/dashboard/error-groups": "hours=5",
    "/api/dashboard/timeline": "hours=5",
}


@pytest.mark.parametrize("endpoint", [e for e in LISTS if e.path in FILTERED], ids=str)
def test_the_cursor_of_other_filters_is_refused(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    cursor = first_cursor(client, endpoint, ours)
    reader = Reader(client, endpoint, ours)
    filters = FILTERED[endpoint.path]
    filtered = reader.get(f"limit=2&{filters}").json()
    own = filtered.get("nextCursor") or filtered.get("next_cursor")

    answers = {
        "with": reader.get(f"limit=2&{filters}&cursor={cursor}"),
        "without": reader.get(f"limit=2&cursor={own}"),
    }

    assert own
    assert {answer.status_code for answer in answers.values()} == {400}
    assert all("cursor" in answer.json()["details"] for answer in answers.values())
    # Another page size or order of the parameters still means the same list.
    assert reader.get(f"cursor={own}&limit=3&{filters}").status_code == 200


@pytest.mark.parametrize("endpoint", [e for e in LISTS if e.path in BY_ID], ids=str)
def test_an_id_leads_to_the_same_page_as_the_cursor(
    endpoint: Endpoint, ours: Tenant, client_for: ClientFor
) -> None:
    client = caller(client_for, ours, endpoint)
    fill(endpoint, ours, OLD)
    first = Reader(client, endpoint, ours).get(f"limit={SIZE}").json()
    reader = Reader(client, endpoint, ours)

    pages = [
        reader.get(f"limit={SIZE}&offset={first['offset']}").json(),
        reader.get(f"limit={SIZE}&cursor={first['next_cursor']}").json(),
    ]

    assert [page["items"] for page in pages] == [pages[0]["items"]] * 2
    assert len(pages[0]["items"]) == SIZE
