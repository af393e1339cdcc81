"""The page that lists executions: content, filters, order and refreshing."""

import codecs
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils.html import strip_tags

from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import (
    FAILED,
    RUNNING,
    make_execution,
    make_file,
    make_outside_user,
    make_user_of,
    tagged,
)
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership

HOUR = 3600.0
HOSTILE = "<img src=x onerror=alert(1)>\"' & <b>"


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Any:
    return signed_in(make_membership(organization))


def names(response: Any) -> list[str]:
    return [row["execution"].agent_name for row in response.context["rows"]]


def test_a_row_says_who_ran_what_and_for_how_long(organization: Organization, browser: Any) -> None:
    ada = make_outside_user(organization, "Ada", uuid4())
    execution = make_execution(
        organization, start=now() - 60, agent_name="Hymn Creator", user=ada, cost="0.0034"
    )
    make_file(execution, "in", "a.txt")

    text = browser.get("/executions").content.decode()

    for word in (
        "Hymn Creator",
        "Ada",
        "finished",
        "2\N{NO-BREAK SPACE}s",
        "$\N{NO-BREAK SPACE}0.0034",
    ):
        assert word in text
    assert f'href="/executions/{execution.fid}"' in text
    assert f'href="/executions/{execution.fid}/files"' in text


def test_the_last_24_hours_are_shown_unless_the_address_says_otherwise(
    organization: Organization, browser: Any
) -> None:
    for hours, name in ((0.5, "now"), (30, "yesterday"), (24 * 40, "long ago")):
        make_execution(organization, start=now() - hours * HOUR, agent_name=name)

    shown = {
        query: names(browser.get(f"/executions{query}"))
        for query in ("", "?hours=1", "?hours=168", "?hours=999999", "?hours=never", "?hours=-1")
    }

    assert shown == {
        "": ["now"],
        "?hours=1": ["now"],
        "?hours=168": ["now", "yesterday"],
        "?hours=999999": ["now", "yesterday", "long ago"],
        "?hours=never": ["now"],
        "?hours=-1": ["now"],
    }


def test_a_window_of_ones_own_is_read_in_the_pages_zone(
    organization: Organization, browser: Any
) -> None:
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    for hours in (-2, 0, 2):
        start = (noon + timedelta(hours=hours)).timestamp()
        make_execution(organization, start=start, agent_name=f"{hours:+d}")

    response = browser.get(
        "/executions?tz=Europe/Berlin&from=2026-03-10T12:30:00&to=2026-03-10T14:00:00"
    )

    assert names(response) == ["+0"]
    assert response.context["query"].context_line.startswith(
        "From 10 Mar, 12:30 until 10 Mar, 14:00"
    )
    assert browser.get("/executions?from=nonsense&to=2026-03-10").status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=Hymn", ["Hymn"]),
        ("agent_name=hymn", ["Hymn Creator", "Hymn"]),
        ("user=Grace", ["Research"]),
        ("status=error", ["Research"]),
        ("search=grace", ["Research"]),
        ("search=quota", ["Research"]),
        ("status=finished&name=Hymn", ["Hymn"]),
        ("status=nonsense", ["Research", "Hymn Creator", "Hymn"]),
        ("user=unknown", ["Hymn Creator", "Hymn"]),
        ("name=Hymn&name=Research", ["Research", "Hymn"]),
        ("not_name=Hymn", ["Research", "Hymn Creator"]),
        ("not_status=error&not_name=Hymn", ["Hymn Creator"]),
        ("status=error&status=nonsense", ["Research"]),
        ("not_status=nonsense&not_agent=nonsense", ["Research", "Hymn Creator", "Hymn"]),
        ("not_user=Grace", ["Hymn Creator", "Hymn"]),
    ],
)
def test_each_filter_leaves_its_rows(
    organization: Organization, browser: Any, query: str, expected: list[str]
) -> None:
    grace = make_outside_user(organization, "Grace", uuid4())
    start = now()
    make_execution(organization, start=start - 30, agent_name="Hymn")
    make_execution(organization, start=start - 20, agent_name="Hymn Creator")
    make_execution(
        organization,
        FAILED,
        start=start - 10,
        agent_name="Research",
        user=grace,
        events=[NewEvent(start - 9, "error", "quota exceeded")],
    )

    response = browser.get(f"/executions?{query}")

    assert names(response) == expected
    assert response.context["page"].paginator.count == len(expected)
    assert response.context["figures"][0]["of"] == "3"


def test_the_choices_of_a_filter_come_from_the_window_and_not_from_the_rows(
    organization: Organization, browser: Any
) -> None:
    make_execution(organization, agent_name="Hymn")
    make_execution(organization, agent_name="Research")
    make_execution(organization, start=now() - 48 * HOUR, agent_name="Of yesterday")

    fields = browser.get("/executions?name=Hymn").context["filters"].fields

    offered = next(field for field in fields if field["name"] == "name")
    assert [(tick["value"], tick["is_wanted"]) for tick in offered["ticks"]] == [
        ("Hymn", True),
        ("Research", False),
    ]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("agent", ["a", "b", "c"]),
        ("-agent", ["c", "b", "a"]),
        ("started", ["c", "b", "a"]),
        ("-started", ["a", "b", "c"]),
        ("runtime", ["c", "a", "b"]),
        ("-runtime", ["b", "a", "c"]),
        ("-cost", ["b", "c", "a"]),
        ("cost", ["c", "b", "a"]),
        ("status", ["c", "a", "b"]),
        ("-files", ["b", "c", "a"]),
        ("nonsense", ["a", "b", "c"]),
    ],
)
def test_the_rows_stand_in_the_order_asked_for(
    organization: Organization, browser: Any, sort: str, expected: list[str]
) -> None:
    start = now()
    short = (("starting", 0.0), ("error", 1.0))
    make_execution(organization, start=start - 100, agent_name="a", input_file_count=1)
    make_execution(
        organization, RUNNING, start=start - 200, agent_name="b", cost=2, output_file_count=3
    )
    make_execution(
        organization, short, start=start - 300, agent_name="c", cost=1, input_file_count=2
    )

    assert names(browser.get(f"/executions?sort={sort}")) == expected


def test_fifty_rows_make_a_page(organization: Organization, browser: Any) -> None:
    for number in range(51):
        make_execution(organization, start=now() - number, agent_name=f"run {number}")

    first, second = (browser.get(f"/executions?page={page}") for page in (1, 2))

    assert (len(names(first)), names(second)) == (50, ["run 50"])
    assert "1\N{EN DASH}50 of 51" in first.content.decode()


def test_rows_that_came_after_the_page_was_opened_are_counted_and_not_shown(
    organization: Organization, browser: Any
) -> None:
    make_execution(organization, RUNNING, agent_name="known")
    seen = browser.get("/executions").context["seen"]
    make_execution(organization, agent_name="newer")

    refreshed = browser.get(f"/executions?seen={seen}")

    assert names(refreshed) == ["known"]
    assert refreshed.context["seen"] == seen
    assert "1 new run" in refreshed.content.decode()
    assert names(browser.get("/executions?seen=9e99")) == ["newer", "known"]


def test_people_see_their_own_and_operators_see_all(
    organization: Organization, signed_in: Any
) -> None:
    viewer = make_membership(organization, Membership.Role.VIEWER)
    make_execution(organization, agent_name="mine", user=make_user_of(viewer))
    make_execution(organization, agent_name="somebody's")

    own = signed_in(viewer).get("/executions")
    all_ = signed_in(make_membership(organization, Membership.Role.OPERATOR)).get("/executions")

    assert names(own) == ["mine"]
    assert own.context["figures"][0]["of"] == "1"
    assert "somebody" not in own.content.decode()
    assert len(names(all_)) == 2


@pytest.mark.parametrize("path", ["", "/errors", "/timeline", "/statistics"])
def test_no_name_is_markup(organization: Organization, browser: Any, path: str) -> None:
    make_execution(
        organization,
        FAILED,
        agent_name=HOSTILE,
        user=make_outside_user(organization, HOSTILE, uuid4()),
        events=[NewEvent(now(), "error", HOSTILE)],
        cost=1,
    )

    for query in ("", "?search=%3Cimg", "?name=%3Cimg src%3Dx%3E", "?user=%3Cimg src%3Dx%3E"):
        text = browser.get(f"/executions{path}{query}").content.decode()
        assert "<img" not in text
        assert "<b>" not in text


def test_an_organization_without_executions_sees_how_to_get_the_first(
    organization: Organization, browser: Any
) -> None:
    for path in ("", "/errors", "/timeline", "/statistics"):
        text = browser.get(f"/executions{path}").content.decode()

        assert "Nothing has run yet" in text
        assert f"--organization {organization.public_id}" in text


def test_a_quiet_time_offers_a_longer_one(organization: Organization, browser: Any) -> None:
    make_execution(organization, start=now() - 48 * HOUR)

    text = browser.get("/executions?hours=1").content.decode()

    assert "Nothing ran in this period" in text
    assert 'href="/executions?hours=168"' in text


def test_filters_without_a_match_are_dropped_with_one_click(
    organization: Organization, browser: Any
) -> None:
    make_execution(organization)

    response = browser.get("/executions?hours=6&status=error&search=nothing")

    assert "Nothing matches" in response.content.decode()
    assert [link["url"] for link in response.context["empty_state"]["links"]] == [
        "/executions?hours=6",
        "/executions?status=error&search=nothing&hours=999999",
    ]


def test_a_time_is_compared_with_all_time_where_they_differ(
    organization: Organization, browser: Any
) -> None:
    broken = NewEvent(now(), "error", "disk is full")
    make_execution(organization, FAILED, start=now() - 2, events=[broken])
    make_execution(organization, start=now() - 48 * HOUR)

    part, whole = (
        {each["label"]: each["note"] for each in browser.get(path).context["figures"]}
        for path in ("/executions", "/executions?hours=999999")
    )

    assert strip_tags(part["Error rate"]) == "1 failed, 50\N{NO-BREAK SPACE}% over all time"
    assert whole["Error rate"] == "1 failed"
    assert whole["Median runtime"] == "p95\N{NO-BREAK SPACE}2\N{NO-BREAK SPACE}s"


def test_a_period_without_errors_has_an_empty_state(
    organization: Organization, browser: Any
) -> None:
    make_execution(organization)
    broken = NewEvent(now() - 48 * HOUR, "error", "disk is full")
    make_execution(organization, FAILED, start=now() - 48 * HOUR, events=[broken])

    response = browser.get("/executions/errors")
    narrowed = browser.get("/executions/errors?status=finished")

    assert response.context["empty_state"]["title"] == "No errors in this period"
    assert response.context["empty_state"]["text"].startswith("1 execution ran, ")
    assert response.context["empty_state"]["links"][0]["url"] == "/executions/errors?hours=999999"
    assert narrowed.context["empty_state"]["text"].startswith("1 execution ran within")


def test_the_address_of_kodosumis_dashboard_leads_here(
    organization: Organization, browser: Any
) -> None:
    for path in ("/admin/dashboard", "/admin/dashboard/"):
        assert browser.get(path)["Location"] == "/executions"


def test_the_file_has_every_row_that_the_filters_leave(
    organization: Organization, browser: Any
) -> None:
    for number in range(3):
        about = tagged("meta", now(), summary="Report", tags=["north", "weekly"])
        make_execution(
            organization, start=now() - number, agent_name="=cmd()", cost="0.5", events=[about]
        )
    make_execution(organization, FAILED, agent_name="other")

    response = browser.get("/executions/export?status=finished&tz=Asia/Tokyo")

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    body = b"".join(response)
    assert body.startswith(codecs.BOM_UTF8)
    lines = list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
    assert [line["agent"] for line in lines] == ["'=cmd()"] * 3
    assert {(line["summary"], line["tags"]) for line in lines} == {("Report", "north, weekly")}
    assert lines[0]["runtime_seconds"] == "2.000"
    assert lines[0]["started_utc"].endswith("+00:00")
    assert lines[0]["started_local"].endswith("+09:00")
    assert lines[0]["cost_usd"] == "0.50000000"


def test_files_in_sub_folders_count_wherever_people_look(
    organization: Organization, browser: Any, client_for: Any
) -> None:
    """Only the API in kodosumi's words shows kodosumi's numbers, which exclude sub-folders."""
    nested = make_execution(organization, agent_name="Nested")
    for path in ("out/a/b/c.txt", "e/f.txt"):
        make_file(nested, "out", path)
    make_file(nested, "in", "g/h.txt")
    flat = make_execution(organization, agent_name="Flat")
    make_file(flat, "out", "one.txt")
    make_execution(organization, agent_name="None")

    page = browser.get("/executions?sort=-files")
    csv_file = browser.get("/executions/export").getvalue().decode("utf-8-sig")
    rows = {row["agent"]: row for row in csv.DictReader(io.StringIO(csv_file))}
    told = client_for(make_membership(organization)).get("/api/dashboard/running-agents").json()
    counts = {
        row["agent_name"]: (row["upload_count"], row["download_count"]) for row in told["agents"]
    }

    assert names(page) == ["Nested", "Flat", "None"]
    assert f'href="/executions/{nested.fid}/files"' in page.content.decode()
    assert (rows["Nested"]["files_up"], rows["Nested"]["files_down"]) == ("1", "2")
    assert (rows["None"]["files_up"], rows["None"]["files_down"]) == ("0", "0")
    assert counts == {"Nested": (0, 0), "Flat": (0, 1), "None": (0, 0)}
