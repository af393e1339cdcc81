"""Texts of pages and documentation are true: quoted buttons exist, sentences fit none and one,
names are shown where known, and forms report all errors at once.
"""

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agentidp.env import BASE_DIR
from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.queries import DayCount, HourCount
from core.formatting import counted
from executions.tests.factories import make_execution
from organizations.actors import Actor
from organizations.audit.log import record_event
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.charts import busiest, trend_chart
from tokens.tests.factories import make_credential, make_resource

MANUAL = sorted([*BASE_DIR.glob("docs/[!d]*/*.md"), *BASE_DIR.glob("*.md")])
MANUAL.append(BASE_DIR / "docs" / "tutorial.md")
TEMPLATES = sorted(BASE_DIR.glob("templates/**/*.html"))
CODE = [path for path in BASE_DIR.glob("*/**/*.py") if {"views", "pages"} & set(path.parts)]


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization))
    return found


def ask_for_token(client: Client, agent: Agent, secret: str) -> Any:
    named = f"client_id={agent.pk}&client_secret={secret}"
    return client.post(
        "/api/v1/token",
        f"grant_type=client_credentials&{named}",
        content_type="application/x-www-form-urlencoded",
    )


def words_on_screen() -> set[str]:
    """The texts between tags, and the strings from which views and tags make labels."""
    found: set[str] = set()
    drawn, filled = re.compile(r"\{%[^%]*icon[^%]*%\}"), re.compile(r"\{%[^%]*%\}|\{\{[^}]*\}\}")
    for path in TEMPLATES:
        text = path.read_text()
        found |= {each.strip() for each in re.findall(r">([^<>{}]+)<", drawn.sub("", text))}
        found |= {each.strip() for each in re.findall(r">([^<>]+)<", filled.sub("<>", text))}
        found |= set(re.findall(r'"([A-Z][^"{}]*)"', text))
    for path in CODE:
        found |= set(re.findall(r'"([A-Z][^"{}]*)"', path.read_text()))
    return found


def quoted() -> list[tuple[str, str]]:
    """Pairs of file and quoted words: bold text inside sentences of the manual, and “quotes” on
    pages.
    """
    bold = re.compile(r"(?<=[a-z,;|] )\*\*([A-Z][A-Za-z ]{1,30})\*\*")
    cited = re.compile("“([A-Z][a-z ]{3,30})”")
    of = [(path, bold) for path in MANUAL] + [(path, cited) for path in TEMPLATES]
    return [
        (path.relative_to(BASE_DIR).as_posix(), words)
        for path, pattern in of
        for words in pattern.findall(path.read_text())
    ]


def test_the_words_that_are_quoted_stand_on_the_screen() -> None:
    known = words_on_screen()
    found = quoted()

    assert ("docs/tutorial.md", "Create its first credential") in found
    assert ("templates/overview/first_steps.html", "Create its first credential") in found
    assert [each for each in found if each[1] not in known] == []


@pytest.mark.parametrize(
    "address",
    ["/", "/agents", "/agents?q=x", "/tokens", "/resources", "/audit", "/members", "/executions"],
)
def test_no_page_offers_the_same_first_choice_twice(browser: Client, address: str) -> None:
    text = browser.get(address).content.decode()
    text = re.sub(r"<(details|dialog).*?</\1>", "", text, flags=re.DOTALL)
    offered = re.findall(r'class="button button-primary[^>]*>([^<]+)<', text)

    assert len(offered) == len(set(offered)), offered


# None, one, and before the beginning


@pytest.mark.parametrize(("number", "text"), [(0, "0 runs"), (1, "1 run"), (1000, "1,000 runs")])
def test_one_is_written_in_the_singular(number: int, text: str) -> None:
    assert counted(number, "runs") == text


def test_the_busiest_hour_of_one_request() -> None:
    assert busiest([HourCount(6, 21, 1)], "requests") == "Busiest Sat 21:00, 1 request"
    assert busiest([], "requests") == "Nothing in this period"


@pytest.mark.parametrize(
    ("counts", "age", "summary"),
    [
        ([0, 0, 0, 0], 0, ""),
        ([0, 0, 0, 1], 0, "Highest 1 on 4 Nov"),
        ([0, 0, 3, 1], 1, "Highest 3 on 3 Nov"),
        ([0, 2, 3, 1], 2, "Highest 3 on 3 Nov, lowest 2 on 2 Nov"),
        ([0, 2, 3, 1], 9, "Highest 3 on 3 Nov, lowest 0 on 1 Nov"),
        ([5, 2, 3, 1], 0, "Highest 5 on 1 Nov, lowest 2 on 2 Nov"),
    ],
)
def test_days_before_the_beginning_are_unknown(counts: list[int], age: int, summary: str) -> None:
    today = date(2026, 11, 4)
    first = today - timedelta(days=len(counts) - 1)
    days = [DayCount(first + timedelta(days=n), count) for n, count in enumerate(counts)]

    chart = trend_chart(
        days,
        name="x",
        title="X",
        unit="tokens",
        today=today,
        url=str,
        notes={},
        since=today - timedelta(days=age),
    )

    assert chart["summary"] == summary
    known = [point["count"] for point in chart["points"] if point["count"] is not None]
    if any(counts):
        expected = max(age, len(counts) - 1 - min(n for n, each in enumerate(counts) if each)) + 1
        assert known == counts[-expected:]
        assert all(point["url"] for point in chart["points"] if point["count"] is not None)


def test_a_new_organization_has_no_days_before_it(
    organization: Organization, browser: Client
) -> None:
    Organization.objects.filter(pk=organization.pk).update(created_at=timezone.now())
    agent = make_agent(organization)
    _, secret = make_credential(agent)
    assert ask_for_token(browser, agent, secret).status_code == 200

    text = unescape(browser.get("/").content.decode())

    assert re.search(r"Highest 1 on \d+ \w+\s*<", text)
    assert "1 requests" not in text
    assert "1 tokens" not in text
    assert "No agent</span></a>" not in text


# Names and fields


def test_a_caller_that_failed_to_authenticate_as_an_agent_has_its_name(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization, email="crm-sync@agents.example")
    with organization_scope(organization):
        record_event("agent.created", agent, actor=Actor.for_system(organization, "test"))
    assert ask_for_token(browser, agent, "sk_live_wrong").status_code == 401

    response = browser.get("/audit?action=auth.failed")
    [event] = response.context["events"]
    page = browser.get(f"/audit/{event.pk}").content.decode()

    assert event.actor_label == "crm-sync@agents.example"
    assert str(agent.pk) not in re.sub(r"<[^>]*>", "", response.content.decode())
    assert "crm-sync@agents.example" in page
    with organization_scope(organization):
        assert AuditEvent.objects.get(pk=event.pk).actor_label == str(agent.pk)


@pytest.mark.parametrize("address", ["/audit", "/tokens", "/agents", "/executions"])
def test_every_field_of_a_menu_has_a_name_of_its_own(
    organization: Organization, browser: Client, address: str
) -> None:
    make_agent(organization, email="crm-sync@agents.example")
    make_execution(organization)

    text = browser.get(address).content.decode()
    labels = re.findall(r'<label class="field-label" for="filter-[^>]*>([^<]+)<', text)
    labels += re.findall(r'<legend class="visually-hidden">([^<]+)<', text)

    assert len(labels) == len(set(labels)) > 0
    typed = re.findall(r'<input id="filter-[^>]*type="text"[^>]*>', text)
    # Tags are part of each run's description: there is no table of tags.
    assert [each for each in typed if " list=" not in each and 'name="tag"' not in each] == []
    if address == "/audit":
        assert {"From", "Until"} <= set(labels)
    if address == "/tokens":
        assert '<option value="crm-sync@agents.example" label="crm-sync">' in text


# Forms


def test_a_registration_reports_all_errors_at_once(
    organization: Organization, browser: Client
) -> None:
    make_agent(organization, email="taken@agents.example")
    sent = {"email": "Taken@agents.example", "version": "one", "owner": "", "capabilities": "x"}

    response = browser.post("/agents/new", sent)

    assert response.status_code == 400
    wrong = {"email", "version", "owner", "capabilities", "agent_type", "deployment_env"}
    assert set(response.context["form"].errors) == wrong
    with organization_scope(organization):
        assert Agent.objects.count() == 1


def test_an_agent_keeps_its_own_address(organization: Organization, browser: Client) -> None:
    agent = make_agent(organization, email="mine@agents.example")

    page = browser.get(f"/agents/{agent.pk}/edit")
    form = page.context["form"]
    sent = {name: form[name].value() for name in form.fields} | {"owner": "Somebody else"}
    response = browser.post(f"/agents/{agent.pk}/edit", sent)

    assert response.status_code == 302
    with organization_scope(organization):
        assert Agent.objects.get(pk=agent.pk).owner == "Somebody else"


def test_nothing_is_selected_by_default(browser: Client) -> None:
    text = browser.get("/agents/new").content.decode()

    for name in ("agent_type", "deployment_env"):
        options = re.search(rf'<select name="{name}".*?</select>', text, re.DOTALL)
        assert options
        first = re.findall(r'<option value="([^"]*)"( selected)?>', options[0])
        assert first[0][0] == ""
        assert [value for value, selected in first if selected] in ([], [""])


def test_a_resource_form_reports_all_errors_at_once(
    organization: Organization, browser: Client
) -> None:
    resource = make_resource(organization)

    response = browser.post("/resources/new", {"identifier": resource.identifier, "name": ""})

    assert set(response.context["form"].errors) == {"identifier", "name"}
