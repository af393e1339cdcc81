"""A waiting run shows its question first: as a sentence, with its deadline and who can answer."""

import re
from typing import Any

import pytest
from django.test import Client

from agents.tests.factories import make_agent
from executions.models import now
from executions.tests.factories import RUNNING, make_execution, tagged
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.executions.presentation import in_words

WAITS = [*RUNNING, ("awaiting", 2.0)]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization, Membership.Role.OPERATOR))
    return found


def lock(lid: str, question: Any, **more: Any) -> Any:
    told = {"name": "approval", "lid": lid, "data": {"question": question}, **more}
    return tagged("lock", now() + 1, **told)


def main_of(response: Any) -> str:
    main = re.search(r"<main.*</main>", response.content.decode(), re.DOTALL)
    assert main
    return main[0]


def waiting(browser: Client) -> tuple[str, str] | None:
    """The URL and number of the navigation item for waiting runs."""
    page = browser.get("/").content.decode()
    found = re.search(r"status=awaiting[^>]*>(\w+ for you) <span[^>]*>(\d+)<", page)
    return (found[1], found[2]) if found else None


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("HTTPS://run.example/1", True),
        ("http://[", True),
        ("javascript:alert(1)", False),
        (7, False),
    ],
)
def test_the_page_where_a_run_asks_is_linked(
    organization: Organization, browser: Client, url: object, is_link: bool
) -> None:
    """Without reading the URL, which could be invalid or very long."""
    meta = tagged("meta", now(), base_url=url)
    asked = lock("one", "Send the offers?")
    execution = make_execution(organization, WAITS, events=[meta, asked], meta={"base_url": url})

    response = browser.get(f"/executions/{execution.fid}")

    assert response.status_code == 200
    assert (f'href="{url}"' in main_of(response)) is is_link


def test_the_question_stands_on_top_with_its_deadline_and_the_way_to_answer(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization, owner="recruiting")
    asked = lock("one", "Send the offers?", expires=now() + 1_800)
    execution = make_execution(organization, WAITS, agent=agent, events=[asked])

    text = main_of(browser.get(f"/executions/{execution.fid}"))

    assert text.index("Send the offers?") < text.index('id="steps-title"')
    shown = re.findall(r'class="question-text"[^>]*>([^<]*)<', text)
    assert shown == ["Send the offers?"]  # in words, not as the JSON that the program sent
    assert "can be answered until" in text
    assert "recruiting owns" in text
    assert f"/api/v1/executions/{execution.fid}/events" in text
    assert "&quot;lid&quot;: &quot;one&quot;" in text


@pytest.mark.parametrize(
    ("expires", "sentence"), [(None, "without a deadline"), (-60, "The deadline passed")]
)
def test_a_missing_or_past_deadline_is_shown(
    organization: Organization, browser: Client, expires: float | None, sentence: str
) -> None:
    more = {} if expires is None else {"expires": now() + expires}
    execution = make_execution(organization, WAITS, events=[lock("one", "Go on?", **more)])

    assert sentence in main_of(browser.get(f"/executions/{execution.fid}"))


def test_an_answered_question_and_an_ended_run_ask_nothing(
    organization: Organization, browser: Client
) -> None:
    answered = [lock("one", "Go on?"), tagged("lease", now() + 2, lid="one", result={})]
    running = make_execution(organization, RUNNING, events=answered)
    ended = make_execution(
        organization, [*RUNNING, ("finished", 3.0)], events=[lock("two", "Go on?")]
    )

    for execution in (running, ended):
        text = main_of(browser.get(f"/executions/{execution.fid}"))
        assert "question-text" not in text


def test_a_hostile_question_is_text(organization: Organization, browser: Client) -> None:
    events = [lock("it's", HOSTILE), lock("two", {"deep": [HOSTILE]})]
    execution = make_execution(organization, WAITS, events=events)

    text = main_of(browser.get(f"/executions/{execution.fid}"))

    assert HOSTILE not in text
    assert text.count('class="question-text"') == 2


def test_the_rail_says_how_many_wait(organization: Organization, browser: Client) -> None:
    make_execution(organization, RUNNING)
    assert "1 running" in browser.get("/").content.decode()
    assert waiting(browser) is None

    make_execution(organization, WAITS, events=[lock("one", "Go on?")])
    assert waiting(browser) == ("Waiting for you", "1")

    make_execution(organization, WAITS, events=[lock("one", "Go on?")])
    assert waiting(browser) == ("Waiting for you", "2")
    rows = main_of(browser.get("/executions?status=awaiting&hours=999999"))
    assert rows.count("data-key") == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"question": "Go on?"}, "Go on?"),
        ({"elements": [], "label": "Choose"}, "Choose"),
        ("Go on?", "Go on?"),
        ({"a": 1}, '{\n  "a": 1\n}'),
        (None, "The question has no text."),
    ],
)
def test_the_sentence_is_found_in_what_programs_send(data: Any, words: str) -> None:
    assert in_words(data) == words
