"""The first wall alone: with row-level security disabled, every query still names its organization.

tests/test_isolation.py tests the second wall alone.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection

from core.database_roles import as_owner
from tests.calls import bearer_of, browser_of, call, text_of
from tests.endpoint import Endpoint
from tests.endpoints import BEARER, PAGES
from tests.tenants import Tenant
from tests.test_five_proofs import test_a_list_counts_and_shows_own_rows_only
from tests.test_foreign_ids import (
    insider,
    outsider,
    test_foreign_ids_in_the_body_are_as_unknown_as_no_id,
    test_foreign_ids_in_the_path_are_as_unknown_as_no_id,
    test_foreign_ids_in_the_query_are_as_unknown_as_no_id,
)
from tests.test_page_proofs import (
    test_a_page_shows_nothing_of_another_organization,
    test_another_organizations_page_is_as_unknown_as_no_page,
)

__all__ = [
    "insider",
    "outsider",
    "test_a_list_counts_and_shows_own_rows_only",
    "test_a_page_shows_nothing_of_another_organization",
    "test_another_organizations_page_is_as_unknown_as_no_page",
    "test_foreign_ids_in_the_body_are_as_unknown_as_no_id",
    "test_foreign_ids_in_the_path_are_as_unknown_as_no_id",
    "test_foreign_ids_in_the_query_are_as_unknown_as_no_id",
]

PASSING = re.compile(
    r'csrfmiddlewaretoken" value="\w+|X-CSRFToken": "\w+|\d\d:\d\d:\d\d\.\d+Z|\d{10}\.\d+'
    r'|.*"audit\.exported".*\n'
)
"""What differs in every response: tokens, the database's time, and the record of an earlier
export.
"""
READS = [each for each in BEARER if each.method == "GET"]
READ_PAGES = [each for each in PAGES if each.method == "GET"]


@pytest.fixture(scope="module", autouse=True)
def open_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """PostgreSQL shows every row to everybody during the block."""
    with django_db_blocker.unblock():
        switch_policies("DISABLE")
    yield
    with django_db_blocker.unblock():
        switch_policies("ENABLE")


@pytest.fixture
def standing_clock() -> Iterator[None]:
    with time_machine.travel(time.time(), tick=False):
        yield


def switch_policies(how: str) -> None:
    with as_owner(connection), connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tablename FROM pg_policies")
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} {how} ROW LEVEL SECURITY")


def test_the_second_wall_is_open(ours: Tenant) -> None:
    ours.agent  # noqa: B018

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM agents_agent")

        assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("endpoint", READS, ids=str)
@pytest.mark.usefixtures("standing_clock")
def test_no_number_changes_with_another_organizations_rows(
    endpoint: Endpoint, ours: Tenant, theirs: Tenant
) -> None:
    caller, ids = bearer_of(endpoint, ours), endpoint.ids(ours)
    before = body_of(call(caller, endpoint, ours, ids=ids))
    theirs.fill()

    assert body_of(call(caller, endpoint, ours, ids=ids)) == before


@pytest.mark.parametrize("page", READ_PAGES, ids=str)
@pytest.mark.usefixtures("standing_clock")
def test_no_number_on_a_page_changes_with_another_organizations_rows(
    page: Endpoint, ours: Tenant, theirs: Tenant
) -> None:
    browser, ids = browser_of(ours, "owner"), page.ids(ours)
    before = body_of(call(browser, page, ours, ids=ids))
    theirs.fill()

    assert body_of(call(browser, page, ours, ids=ids)) == before


def body_of(response: Any) -> str:
    return PASSING.sub("", text_of(response).rpartition("{'")[0])
