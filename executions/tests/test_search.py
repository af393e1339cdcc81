"""Every list shows what a run is about, and every search covers all fields that a row shows."""

import csv
import io
import unicodedata
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import ClientFor
from executions.event_log import NewEvent
from executions.models import Execution, now
from executions.tests.factories import make_execution, make_outside_user, make_user_of, tagged
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

SUMMARY = "Quartalsbericht für Köln"
DECOMPOSED = unicodedata.normalize("NFD", "köln")
Ids = Callable[..., list[str]]


@pytest.fixture
def report(organization: Organization) -> Execution:
    """A run with a distinct word in every field that a row shows, and two other runs."""
    start = now() - 60
    ada = make_outside_user(organization, "Ada Lovelace", uuid4())
    found = make_execution(
        organization,
        start=start,
        agent_name="Accountant",
        user=ada,
        events=[
            tagged("meta", start, summary=SUMMARY, tags=["Finance", "2026-Q3"]),
            NewEvent(start + 1, "error", '{"error": "the ledger is locked"}'),
        ],
    )
    other = tagged("meta", start, summary="Weekly letters", tags=["financial", "mail"])
    make_execution(organization, start=start, agent_name="Clerk", events=[other])
    make_execution(organization, start=start, agent_name="Quiet")
    return found


@pytest.fixture(params=["page", "csv", "api", "running-agents", "timeline"])
def ids(request: Any, organization: Organization, signed_in: Any, client_for: ClientFor) -> Ids:
    """The ids of the runs that one of the lists shows to an operator."""
    operator = make_membership(organization, role=Membership.Role.OPERATOR)

    def of_page(query: str) -> list[str]:
        page = signed_in(operator).get(f"/executions?{query}")
        return [row["execution"].fid for row in page.context["rows"]]

    def of_csv(query: str) -> list[str]:
        text = signed_in(operator).get(f"/executions/export?{query}").getvalue().decode("utf-8-sig")
        return [row["execution_id"] for row in csv.DictReader(io.StringIO(text))]

    def of_api(path: str, field: str, key: str) -> Callable[[str], list[str]]:
        def found(query: str) -> list[str]:
            answer = client_for(operator).get(f"{path}?{query}")
            assert answer.status_code == 200, answer.content
            return [row[key] for row in answer.json()[field]]

        return found

    lists = {
        "page": of_page,
        "csv": of_csv,
        "api": of_api("/api/v1/executions", "data", "executionId"),
        "running-agents": of_api("/api/dashboard/running-agents", "agents", "fid"),
        "timeline": of_api("/api/dashboard/timeline", "executions", "fid"),
    }
    listed = lists[request.param]
    return lambda **query: listed(urlencode(query))


@pytest.mark.parametrize(
    "words",
    [
        *("Quartalsbericht", "BERICHT FÜR", "2026-q3", "account", "lovelace", "ledger is"),
        "Köln",
        DECOMPOSED,
    ],
)
def test_a_search_finds_a_run_by_every_text_of_its_row(
    report: Execution, ids: Ids, words: str
) -> None:
    assert ids(search=words) == [report.fid]


def test_a_search_finds_a_run_by_its_ids(report: Execution, ids: Ids) -> None:
    with organization_scope(report.organization_id):
        user = Execution.objects.select_related("user").get(pk=report.pk).user
    assert user is not None

    assert ids(search=report.fid.upper()) == [report.fid]
    assert ids(search=str(user.external_id)[4:]) == [report.fid]


@pytest.mark.parametrize("words", ["%", "_", "\\", "Quartals%Köln", "Köln\nfinance"])
def test_no_character_of_a_search_is_a_wildcard(report: Execution, ids: Ids, words: str) -> None:
    assert ids(search=words.replace("\n", " ")) == []


def test_a_tag_is_meant_as_a_whole(report: Execution, ids: Ids) -> None:
    assert ids(tag="finance") == [report.fid]
    assert ids(tag="FINANCE", search="quartal") == [report.fid]
    assert ids(tag="financ") == []
    assert ids(tag="mail", search="quartal") == []


def test_the_last_meta_event_defines_what_a_run_is_about(report: Execution, ids: Ids) -> None:
    with organization_scope(report.organization_id):
        execution = Execution.objects.get(pk=report.pk)
        execution.meta = {"summary": "Jahresbericht", "tags": ["Annual"]}
        execution.save(update_fields=["meta"])

    assert ids(search="quartal") == ids(tag="finance") == []
    assert ids(search="jahres", tag="annual") == [report.fid]


@pytest.mark.parametrize(
    "meta",
    [
        *({}, {"dict": None}, {"dict": "summary"}, {"summary": 5, "tags": "all"}),
        *({"tags": [1, None, {"a": 1}]}, {"dict": {"summary": None, "tags": {}}}, []),
    ],
)
def test_a_description_of_any_shape_is_stored(organization: Organization, meta: Any) -> None:
    fid = make_execution(organization, meta=meta).fid

    with organization_scope(organization):
        execution = Execution.objects.get(fid=fid)

    assert execution.summary is None
    assert execution.tags == execution.searchable_tags == []


def test_a_row_shows_what_the_run_is_about(
    report: Execution, organization: Organization, signed_in: Any, client_for: ClientFor
) -> None:
    operator = make_membership(organization, role=Membership.Role.OPERATOR)
    page = signed_in(operator).get("/executions?search=quartal").content.decode()
    text = signed_in(operator).get("/executions/export?search=quartal").getvalue()
    row = next(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    body = client_for(operator).get("/api/v1/executions?search=quartal").json()["data"][0]
    agent = client_for(operator).get("/api/dashboard/running-agents?search=quartal").json()

    assert f"{SUMMARY}\nFinance, 2026-Q3" in page
    assert (row["summary"], row["tags"]) == (SUMMARY, "Finance, 2026-Q3")
    assert (body["summary"], body["tags"]) == (SUMMARY, ["Finance", "2026-Q3"])
    assert agent["agents"][0]["meta"]["dict"]["summary"] == SUMMARY
    assert agent["filters"]["search"] == "quartal"


def test_others_runs_are_not_found(
    report: Execution, organization: Organization, other_organization: Organization, ids: Ids
) -> None:
    start = now() - 30
    summary = tagged("meta", start, summary=SUMMARY, tags=["finance"])
    make_execution(other_organization, start=start, events=[summary])

    assert ids(search="Quartal") == ids(tag="finance") == [report.fid]


def test_a_member_finds_their_own_alone(
    report: Execution, organization: Organization, client_for: ClientFor
) -> None:
    viewer = make_membership(organization, role=Membership.Role.VIEWER)
    start = now() - 30
    mine = make_execution(
        organization,
        start=start,
        user=make_user_of(viewer),
        events=[tagged("meta", start, summary="Quartalsbericht, meiner")],
    )

    found = client_for(viewer).get("/api/v1/executions?search=quartalsbericht").json()

    assert [row["executionId"] for row in found["data"]] == [mine.fid]


def test_a_search_takes_a_fixed_number_of_queries(
    report: Execution, organization: Organization, signed_in: Any
) -> None:
    browser = signed_in(make_membership(organization))

    def queries(query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert browser.get(f"/executions?{query}").status_code == 200
        return len(captured)

    few = queries("search=quartal&tag=finance")
    for number in range(20):
        summary = tagged("meta", now(), summary=f"{SUMMARY} {number}", tags=["finance"])
        user = make_outside_user(organization, f"Ada {number}", uuid4())
        make_execution(organization, user=user, events=[summary])

    assert queries("search=quartal&tag=finance") == few
