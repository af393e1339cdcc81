"""A finding that is planned is snoozed with a reason, and comes back."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics import actions, tasks
from analytics.findings.finding import Finding
from analytics.models import FindingSnooze
from analytics.records import findings_of, worst_findings
from conftest import ClientFor
from core.database_clock import database_time
from core.days import DAY
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.audit.sentences import sentences_of
from pages.findings.links import snooze_url
from pages.tests import agent_states
from tokens.models import Credential

REASON = "Load test until Friday"
SPIKE, UNUSED, EXPIRING = "token_spike", "credential_unused", "credential_expiring"


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization, email="screener-04@agents.example.com")


@pytest.fixture
def browser(organization: Organization, signed_in: Callable[..., Client]) -> Client:
    return signed_in(make_membership(organization, "admin"))


def finding(organization: Organization, code: str = SPIKE) -> Finding:
    with organization_scope(organization):
        (found,) = (each for each in findings_of(organization) if each.code == code)
        return found


def in_days(days: int) -> str:
    return (database_time().date() + days * DAY).isoformat()


def snooze(browser: Client, found: Finding, days: int = 7, reason: str = REASON) -> Any:
    named = dict(parse_qsl(urlsplit(snooze_url(found)).query))
    return browser.post("/findings/snooze", named | {"reason": reason, "back_on": in_days(days)})


def stored(organization: Organization) -> list[FindingSnooze]:
    with organization_scope(organization):
        return list(FindingSnooze.objects.order_by("created_at"))


def hidden(organization: Organization, code: str = SPIKE) -> bool:
    return finding(organization, code).snooze is not None


def test_a_snoozed_finding_is_counted_and_no_longer_shown(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    found = finding(organization)

    answer = snooze(browser, found)

    assert answer.status_code == 302
    overview, listed = browser.get("/"), browser.get("/agents")
    own = browser.get(f"/agents/{agent.pk}")
    assert overview.context["findings_number"] == 0
    assert overview.context["snoozed"]["url"] == "/findings/snoozed"
    assert not any(day["note"] for day in overview.context["chart"]["points"] if "note" in day)
    assert listed.context["rows"][0]["trouble"] is None
    assert own.context["verdict"].finding is None
    for page in (overview, listed, own):
        assert found.text not in page.content.decode()
        assert "1 snoozed</a>" in page.content.decode()
    page = browser.get("/findings/snoozed").content.decode()
    for text in (found.message, REASON, "End the snooze"):
        assert text in page
    landing = browser.get(found.link).context["finding"]
    assert REASON in landing["detail"]
    assert landing["severity"] == "snoozed"
    assert "Change the snooze" in [each["label"] for each in landing["actions"]]


def test_a_reason_is_read_as_it_was_written(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    """Everybody reads it: text that changes the direction of what follows could name others."""
    agent_states.spike(agent)
    found = finding(organization)

    refused = [snooze(browser, found, reason=f"a{odd}b") for odd in "\u202e\u200b\x07"]

    assert [answer.status_code for answer in refused] == [400] * 3
    assert stored(organization) == []


def test_the_list_of_agents_says_so_in_every_order(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    snooze(browser, finding(organization))

    rows = [browser.get(f"/agents?sort={by}").context["rows"] for by in ("trouble", "name")]

    assert [row["snoozed"]["url"] for (row,) in rows] == [
        f"/findings/snoozed?agent={agent.pk}" for _ in rows
    ]
    assert [row["trouble"] for (row,) in rows] == [None, None]


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_only_who_may_change_agents_is_offered_to_snooze(
    organization: Organization, agent: Agent, signed_in: Callable[..., Client], role: str
) -> None:
    agent_states.spike(agent)
    found = finding(organization)
    person = signed_in(make_membership(organization, role))

    pages = [person.get(url).content.decode() for url in (found.link, f"/agents/{agent.pk}")]
    answer = snooze(person, found)

    may = role == "admin"
    assert ["/findings/snooze?" in page for page in pages] == [may, may]
    assert answer.status_code == (302 if may else 403)
    assert len(stored(organization)) == may


def test_an_unused_secret_is_snoozed_from_its_card(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.never_used(agent)
    found = finding(organization, UNUSED)
    url = snooze_url(found).replace("&", "&amp;")

    before = browser.get(f"/agents/{agent.pk}").content.decode()
    answer = snooze(browser, found)
    after = browser.get(f"/agents/{agent.pk}").content.decode()

    assert before.count(url) == 1
    assert answer["Location"] == f"/agents/{agent.pk}"
    assert url not in after
    assert "1 snoozed</a>" in after


def test_ending_a_snooze_shows_the_finding_again(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    snooze(browser, finding(organization))
    (row,) = stored(organization)

    browser.post(f"/findings/snoozed/{row.pk}/end")

    assert stored(organization) == []
    assert not hidden(organization)
    assert browser.get("/").context["snoozed"] is None


def test_everything_wrong_with_a_snooze_is_said_at_once(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)

    answer = snooze(browser, finding(organization), days=91, reason=" ")

    assert answer.status_code == 400
    assert set(answer.context["form"].errors) == {"reason", "back_on"}
    assert stored(organization) == []


def test_the_page_that_changes_a_snooze_ends_it_too(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    found = finding(organization)

    before = browser.get(snooze_url(found)).content.decode()
    snooze(browser, found)
    after = browser.get(snooze_url(found)).content.decode()

    (row,) = stored(organization)
    assert "End the snooze" not in before
    assert f'action="/findings/snoozed/{row.pk}/end"' in after


def test_a_snooze_ends_by_the_database_clock_and_is_deleted_at_night(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    snooze(browser, finding(organization))
    assert hidden(organization)
    with organization_scope(organization):
        FindingSnooze.objects.update(until=database_time() - timedelta(seconds=1))

    assert not hidden(organization)
    assert "Nothing is snoozed" in browser.get("/findings/snoozed").content.decode()
    tasks.prune(timestamp=0)
    assert stored(organization) == []


def test_a_snooze_in_force_stays_at_night(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    snooze(browser, finding(organization))

    tasks.prune(timestamp=0)

    assert hidden(organization)


def test_sent_twice_it_is_one_snooze_and_one_event(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    found = finding(organization)

    snooze(browser, found)
    snooze(browser, found)

    assert len(stored(organization)) == 1
    assert told(organization, agent) == [f"snoozed {quoted(found)} until {day(7)}: {REASON}."]


def test_every_change_is_a_sentence_of_the_audit_log(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.spike(agent)
    found = finding(organization)

    snooze(browser, found)
    snooze(browser, found, days=9, reason="It takes longer")
    (row,) = stored(organization)
    browser.post(f"/findings/snoozed/{row.pk}/end")

    assert told(organization, agent) == [
        f"snoozed {quoted(found)} until {day(7)}: {REASON}.",
        f"snoozed {quoted(found)} until {day(9)}: It takes longer.",
        f"ended the snooze of {quoted(found)}.",
    ]


def told(organization: Organization, agent: Agent) -> list[str]:
    with organization_scope(organization):
        events = AuditEvent.objects.filter(action__startswith="finding.", agent_id=agent.pk)
        return [each.what for each in sentences_of(events.in_order(), timezone.now())]


def quoted(found: Finding) -> str:
    return f"“{' '.join(found.message.split())}”"


def day(days: int) -> str:
    on = date.fromisoformat(in_days(days))
    year = "" if on.year == timezone.now().year else f" {on.year}"
    return f"{on.day} {on:%b}{year}"


@pytest.mark.parametrize(
    ("days", "reason"), [(0, REASON), (91, REASON), (7, ""), (7, "  "), (7, "x" * 201)]
)
def test_it_needs_a_reason_and_a_day_within_the_limits(
    organization: Organization, agent: Agent, browser: Client, days: int, reason: str
) -> None:
    agent_states.spike(agent)

    answer = snooze(browser, finding(organization), days, reason)

    assert answer.status_code == 400
    assert stored(organization) == []


def test_an_organization_has_a_limited_number(
    organization: Organization,
    agent: Agent,
    browser: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent_states.spike(agent)
    agent_states.never_used(agent)
    monkeypatch.setattr(actions, "MAX_SNOOZES", 1)
    snooze(browser, finding(organization))

    refused = snooze(browser, finding(organization, UNUSED))
    changed = snooze(browser, finding(organization), days=3)

    assert (refused.status_code, changed.status_code) == (400, 302)
    assert [row.kind for row in stored(organization)] == [SPIKE]


def test_a_finding_that_has_passed_cannot_be_snoozed(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.never_used(agent)
    found = finding(organization, UNUSED)
    with organization_scope(organization):
        Credential.objects.update(last_used_at=timezone.now())

    answer = snooze(browser, found)

    assert answer["Location"] == "/"
    assert [str(each) for each in get_messages(answer.wsgi_request)] == [
        "The finding has passed meanwhile. There is nothing to snooze."
    ]
    assert stored(organization) == []


def test_the_api_says_which_findings_are_snoozed(
    organization: Organization, agent: Agent, browser: Client, client_for: ClientFor
) -> None:
    agent_states.spike(agent)
    agent_states.never_used(agent)
    snooze(browser, finding(organization))
    (row,) = stored(organization)

    found = client_for(agent).get("/api/v1/analytics/findings").json()["data"]

    until = row.until.isoformat().replace("+00:00", "Z")
    assert {each["code"]: (each["snoozedUntil"], each["snoozeReason"]) for each in found} == {
        SPIKE: (until, REASON),
        UNUSED: (None, ""),
    }


def test_many_unused_secrets_are_counted_without_the_snoozed_ones(
    organization: Organization, browser: Client
) -> None:
    agents = [make_agent(organization) for _ in range(3)]
    for each in agents:
        agent_states.never_used(each)
    with organization_scope(organization):
        *_, last = findings_of(organization)

    snooze(browser, last)

    with organization_scope(organization):
        worst = worst_findings(organization, timezone.now(), most=1)
    assert (len(worst.found), worst.number) == (1, 2)
    assert [each.credential_id for each in worst.snoozed] == [last.credential_id]
    assert browser.get("/").context["findings_number"] == 2


def test_an_end_that_was_expected_is_shown_when_the_secret_is_refused(
    organization: Organization, agent: Agent, browser: Client
) -> None:
    agent_states.expiring(agent)
    with organization_scope(organization):
        Credential.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    snooze(browser, finding(organization, EXPIRING))
    assert hidden(organization, EXPIRING)

    with organization_scope(organization):
        (credential,) = Credential.objects.select_related("agent")
        Credential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    agent_states.ask(credential, [timedelta()], outcome="refused", reason="credential_expired")

    assert not hidden(organization, EXPIRING)
