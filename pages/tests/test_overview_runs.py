"""What the overview tells of executions, and of those that wait for a person."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.tests.factories import make_agent
from core.formatting import SPACE
from executions.tests.factories import (
    FAILED,
    FINISHED,
    RUNNING,
    make_execution,
    make_user_of,
)
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.tests.overview import facts, make_events, make_waiting, url_of
from tokens.tests.factories import make_credential


def test_without_executions_the_overview_says_nothing_of_them(
    organization: Organization, signed_in: Any
) -> None:
    make_events(organization, 1, agent=make_agent(organization))

    response = signed_in(make_membership(organization)).get("/")

    assert [figure["label"] for figure in response.context["figures"]] == ["Tokens", "Refused"]
    assert facts(response) == [
        "1 of 1 agent obtained a token this month",
        "0 live credentials, none expire within 7 days",
    ]


def test_the_facts_tell_what_runs_and_what_failed(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    now = timezone.now().timestamp()
    agent = make_agent(organization)
    make_events(organization, 1, agent=agent)
    for days in (6, 8):
        make_credential(agent, expires_at=timezone.now() + timedelta(days=days))
    make_execution(organization, RUNNING, start=now - 3 * 86_400)
    make_execution(organization, FAILED, start=now - 600)
    for start in (now - 700, now - 800):
        make_execution(organization, FINISHED, start=start)
    make_execution(organization, FAILED, start=now - 25 * 3600)
    make_execution(other_organization, RUNNING)
    owner = signed_in(make_membership(organization))

    response = owner.get("/?tz=UTC")

    assert facts(response) == [
        "1 running",
        "1 of 4 runs failed in the last 24 hours",
        "1 of 1 agent obtained a token this month",
        "2 live credentials, 1 expires within 7 days",
    ]
    for text in ("running", "failed"):
        assert len(owner.get(url_of(response, text)).context["rows"]) == 1
    assert url_of(response, "obtained") in response.content.decode()


@pytest.mark.parametrize(
    ("ago", "fact"),
    [
        (100, "none of 1 run failed in the last 24 hours"),
        (3 * 86_400, "nothing ran in the last 24 hours, the newest run started on "),
    ],
)
def test_a_day_without_failures_is_told_as_such(
    organization: Organization, signed_in: Any, ago: int, fact: str
) -> None:
    make_execution(organization, start=timezone.now().timestamp() - ago)

    response = signed_in(make_membership(organization)).get("/")

    assert facts(response)[0] == "0 running"
    assert facts(response)[1].startswith(fact)


def test_executions_are_shown_before_the_first_token(
    organization: Organization, signed_in: Any
) -> None:
    make_execution(organization, RUNNING)
    make_waiting(organization, 60)

    response = signed_in(make_membership(organization)).get("/")

    page = response.content.decode()
    assert "Two steps to the first token" in page
    assert [each["label"] for each in response.context["figures"]] == ["Runs", "Failed", "Cost"]
    assert facts(response)[0] == "1 running, 1 waits for an answer"
    assert "Waits for a person" in page
    assert "obtained a token" not in page


def test_a_viewer_sees_only_their_own_executions(
    organization: Organization, signed_in: Any
) -> None:
    viewer = make_membership(organization, Membership.Role.VIEWER)
    colleague = make_membership(organization, Membership.Role.VIEWER)
    stranger = make_membership(organization, Membership.Role.VIEWER)
    for person in (viewer, colleague, colleague):
        own = make_user_of(person)
        make_execution(organization, RUNNING, user=own, cost=Decimal(1))
        make_waiting(organization, 60, user=own)
    make_execution(organization, RUNNING)
    make_waiting(organization, 60)

    pages = [
        signed_in(person).get("/")
        for person in (make_membership(organization), viewer, colleague, stranger)
    ]

    figures = [[each["value"] for each in page.context["figures"]] for page in pages]
    three, one, two = (f"${SPACE}{number}.00" for number in (3, 1, 2))
    assert figures == [["8", "0", three], ["2", "0", one], ["4", "0", two], []]
    told = [[fact.split(" of ")[-1] for fact in facts(page)] for page in pages]
    assert told == [
        ["4 running, 4 wait for an answer", "8 runs failed in the last 24 hours"],
        ["1 running, 1 waits for an answer", "2 runs failed in the last 24 hours"],
        ["2 running, 2 wait for an answer", "4 runs failed in the last 24 hours"],
        [],
    ]
    waiting = [page.context["runs"] and len(page.context["runs"].waiting) for page in pages]
    assert waiting == [4, 1, 2, None]


def test_those_that_wait_longest_are_shown_with_what_they_did(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    make_events(organization, 1, agent=make_agent(organization))
    for hours in (3, 1, 7, 2, 6, 4, 5):
        meta = {"dict": {"summary": f"Claim {hours}"}}
        make_waiting(organization, hours * 3600, meta=meta, agent_name="Extractor")
    make_waiting(other_organization, 9 * 3600)
    owner = signed_in(make_membership(organization))

    response = owner.get("/")

    page = response.content.decode()
    shown = [row["summary"] for row in response.context["runs"].waiting]
    assert shown == [f"Claim {hours}" for hours in (7, 6, 5, 4, 3)]
    assert "7 runs, the longest first" in page
    assert ">2 more</a>" in page
    first = response.context["runs"].waiting[0]["execution"]
    answer = re.search(r'<a class="button button-primary" href="([^"]+)">Answer', page)
    assert answer
    assert answer[1] == f"/executions/{first.fid}"
    assert owner.get(answer[1]).status_code == 200
    further = response.context["waiting_url"]
    assert url_of(response, "7 wait for an answer") == further
    assert len(owner.get(further).context["rows"]) == 7


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("has_tokens", [False, True])
def test_one_button_of_the_page_is_filled(
    organization: Organization, signed_in: Any, waits: bool, has_tokens: bool
) -> None:
    if has_tokens:
        make_events(organization, 1, agent=make_agent(organization))
    if waits:
        make_waiting(organization, 60)
        make_waiting(organization, 90)

    page = signed_in(make_membership(organization)).get("/").content.decode()

    main = page[page.index("<main") :]
    filled = re.findall(r'class="button button-primary"[^>]*>([^<]+)<', main)
    assert filled == ["Answer" if waits else "Register agent"]
    assert ("Waits for a person" in page) == waits


def test_many_executions_cost_the_overview_no_more_queries(
    organization: Organization, signed_in: Any
) -> None:
    owner = signed_in(make_membership(organization))
    make_waiting(organization, 60)

    with CaptureQueriesContext(connection) as few:
        owner.get("/")
    for _ in range(3):
        make_execution(organization, RUNNING)
        make_execution(organization, FAILED)
        make_waiting(organization, 60)
    with CaptureQueriesContext(connection) as many:
        owner.get("/")

    assert len(many) == len(few)
    about = [each["sql"] for each in many if "executions_execution" in each["sql"]]
    # The navigation's count, the facts', when the newest started, by day, and those that wait.
    assert len(about) == 5
