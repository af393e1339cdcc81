"""Live, waiting and recently failed executions are the same everywhere, whenever they began."""

import csv
import re
from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from executions.models import now
from executions.tests.factories import FAILED, FINISHED, RUNNING, make_execution, tagged
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from pages.overview.facts import Fact

HOUR = 3600.0
LONG = (("starting", 0.0), ("running", 0.5), ("error", 30 * HOUR))


@pytest.fixture
def owner(organization: Organization) -> Membership:
    return make_membership(organization, "owner")


@pytest.fixture
def browser(owner: Membership, signed_in: Any) -> Client:
    found: Client = signed_in(owner)
    return found


@pytest.fixture
def client(owner: Membership, client_for: ClientFor) -> Client:
    return client_for(owner)


@pytest.fixture(autouse=True)
def runs(organization: Organization) -> None:
    """Live and failed executions of each kind: begun today, three days ago, and ended long ago."""
    current = now()
    for number, days in enumerate((0.1, 3, 40)):
        start = current - days * 24 * HOUR
        make_execution(organization, RUNNING, start=start, fid=f"running-{number}")
        lock = tagged("lock", start + 1, lid="one")
        make_execution(organization, RUNNING, start=start, events=[lock], fid=f"waiting-{number}")
        make_execution(organization, RUNNING[:1], start=start, fid=f"starting-{number}")
    make_execution(organization, FAILED, start=current - 60, fid="failed-now")
    make_execution(organization, LONG, start=current - 30 * HOUR - 60, fid="failed-after-a-day")
    make_execution(organization, FAILED, start=current - 25 * HOUR, fid="failed-yesterday")
    make_execution(organization, FINISHED, start=current - 25 * HOUR, fid="finished-yesterday")


def ids_of(client: Client, query: str) -> set[str]:
    body = client.get(f"/api/dashboard/running-agents?{query}").json()
    assert body["total"] == len(body["agents"])
    return {each["fid"] for each in body["agents"]}


def ids_in_csv(client: Client, address: str, column: str) -> set[str]:
    answer = client.get(address, headers={"Accept": "text/csv"})
    text = b"".join(answer).decode().removeprefix("\N{BYTE ORDER MARK}")
    return {row[column] for row in csv.DictReader(text.splitlines())}


def listed(browser: Client, address: str) -> set[str]:
    return {row["execution"].fid for row in browser.get(address).context["rows"]}


def figure(browser: Client, address: str, label: str) -> dict[str, Any]:
    [found] = [each for each in browser.get(address).context["figures"] if each["label"] == label]
    return dict(found)


def fact(browser: Client, words: str) -> Fact:
    """The one on the overview with these words."""
    every = (each for group in browser.get("/").context["facts"] for each in group)
    [found] = [each for each in every if words in each.text]
    return found


@pytest.mark.parametrize("query", ["", "hours=1", "hours=24", "hours=168", "hours=999999"])
@pytest.mark.parametrize("status", ["running", "awaiting", "starting"])
def test_live_executions_are_in_every_window_up_to_now(
    browser: Client, client: Client, query: str, status: str
) -> None:
    word = {"awaiting": "waiting"}.get(status, status)
    live = {f"{word}-{number}" for number in range(3)}
    narrowed = f"{query}&status={status}"

    assert ids_of(client, narrowed) == live
    assert listed(browser, f"/executions?{narrowed}") == live
    assert ids_in_csv(client, f"/api/dashboard/running-agents?{narrowed}", "fid") == live
    assert ids_in_csv(browser, f"/executions/export?{narrowed}", "execution_id") == live
    assert live <= ids_of(client, query)
    assert live <= listed(browser, f"/executions?{query}")
    counted = client.get(f"/api/dashboard/agent-stats?{narrowed}").json()
    assert counted["total_executions"] == 3


@pytest.mark.parametrize(
    "query", ["", "?hours=1", "?hours=999999", "?from=2026-01-01&to=2026-01-02"]
)
def test_the_menu_the_box_and_the_facts_say_the_same(
    browser: Client, client: Client, query: str
) -> None:
    page = browser.get(f"/executions{query}").content.decode()
    box = figure(browser, f"/executions{query}", "Running now")
    running, waiting = (fact(browser, words) for words in ("running", "wait for an answer"))

    assert re.search(r">\s*3 running\s*<", page)
    assert (box["value"], box["of"], running.text) == ("3", "3", "3 running")
    assert box["note"] == "3 awaiting, 3 starting"
    assert waiting.text == "3 wait for an answer"
    assert client.get("/api/dashboard/agent-stats").json()["running"] == 3
    for url in (box["url"], running.url):
        assert listed(browser, url) == {f"running-{number}" for number in range(3)}
    shown = [row["execution"].fid for row in browser.get("/").context["runs"].waiting]
    assert shown == ["waiting-2", "waiting-1", "waiting-0"]
    assert listed(browser, waiting.url) == set(shown)


def test_failures_of_a_day_are_those_that_ended_in_it(browser: Client, client: Client) -> None:
    failed = {"failed-now", "failed-after-a-day"}
    told = fact(browser, "failed in the last 24 hours")

    assert told.text.startswith("2 of 11 runs ")
    assert listed(browser, told.url) == failed
    assert ids_of(client, "hours=24&status=error") == failed
    assert client.get("/api/dashboard/agent-stats?hours=24&status=error").json()[
        "total_executions"
    ] == len(failed)
    assert ids_of(client, "hours=26&status=error") == failed | {"failed-yesterday"}
    assert "finished-yesterday" not in ids_of(client, "")


def test_a_window_with_edges_is_about_the_start(browser: Client, client: Client) -> None:
    edge = now() - 26 * HOUR

    assert ids_of(client, f"from={edge:.0f}&status=error") == {"failed-now", "failed-yesterday"}
    assert listed(browser, f"/executions?from={edge:.0f}&status=running") == {"running-0"}


def test_bars_stand_where_runs_began_and_the_others_are_counted_beside_them(
    browser: Client, client: Client
) -> None:
    context = browser.get("/executions/timeline").context
    bars = sum(point["count"] for point in context["chart"]["points"])
    body = client.get("/api/dashboard/timeline").json()

    # Three live ones and one failure began today; six live ones and one failure before.
    assert bars == body["total"] == len(body["executions"]) == 4
    assert figure(browser, "/executions/timeline", "Executions")["value"] == "11"
    assert context["chart"]["summary"].endswith("7 that started earlier are not in the bars")
