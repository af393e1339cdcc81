"""A measure has the same value on every page, in every response, CSV file and card, for random
data.

The expected values are computed independently from the data that was inserted.
"""

import csv
import random
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.tests.factories import event, store
from conftest import ClientFor
from core.formatting import NOTHING, counted, duration, money, percent
from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import make_execution, tagged
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tokens.models import TokenEvent
from tokens.tests.factories import make_credential

HOUR = 3600.0
EVER = 999_999
NAMES = ("Report", "Screener")
QUERIES = (
    *("", "hours=1", "hours=168", f"hours={EVER}", "status=error", "agent_name=Report"),
    *(
        "hours=168&status=finished",
        "from={from}&to={to}",
        "from={from}&to={to}&agent_name=Screener",
    ),
)
PAGES = ("executions", "executions/errors", "executions/timeline", "executions/statistics")
LIVE = {"starting", "running", "awaiting"}


@dataclass(frozen=True)
class Run:
    """The test's record of an execution."""

    fid: str
    name: str
    status: str
    start: float
    end: float
    waited: float

    @property
    def runtime(self) -> float:
        return self.end - self.start - self.waited


@pytest.fixture(params=range(2))
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)  # noqa: S311 - the same rows every time


@pytest.fixture
def runs(organization: Organization, chance: random.Random) -> list[Run]:
    return [run(organization, chance, number) for number in range(30)]


def run(organization: Organization, chance: random.Random, number: int) -> Run:
    """A run that may wait, even for a day, and may fail with an error event or with plain text
    only.
    """
    status = chance.choice(["finished", "error", "cancelled", *sorted(LIVE)])
    work, wait = chance.uniform(1, 90), chance.choice([0.0, 0.0, 7.0, 26 * HOUR])
    wait = wait if status != "starting" else 0.0
    start = now() - work - wait - chance.choice([60, 5 * HOUR, 23 * HOUR, 90 * HOUR, 900 * HOUR])
    events, end = [], start
    changes = [("starting", 0.0)]
    if status != "starting":
        changes.append(("running", 0.5))
    if wait:
        events.append(tagged("lock", start + 0.75, lid="one"))
        events.append(tagged("lease", start + 0.75 + wait, lid="one"))
    if status == "awaiting":
        events.append(tagged("lock", start + wait + work, lid="two"))
    elif status not in LIVE:
        changes.append((status, wait + work))
    else:
        events.append(NewEvent(start + wait + work, "stdout", "at work"))
    if status == "error":
        text = NewEvent(start + wait + work, "final", '{"Text": {"body": "no"}}')
        reported = NewEvent(start + wait + work, "error", "disk is full")
        events += [text] if chance.random() < 0.5 else [reported, reported]
    if status == "finished" and chance.random() < 0.3:
        events.append(NewEvent(start + wait + work / 2 + 0.4, "error", "tried once more"))
    end = start + wait + work
    name, fid = chance.choice(NAMES), f"run-{number}"
    make_execution(organization, changes, start=start, events=events, agent_name=name, fid=fid)
    return Run(fid, name, status, start, end, wait)


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization))


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    found: Client = signed_in(make_membership(organization))
    return found


def asked(query: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        yield name, value


def matching(runs: list[Run], query: str) -> list[Run]:
    """The runs that match the window and filters as the glossary defines them."""
    wanted = dict(asked(query))
    since = now() - float(wanted.get("hours", 24)) * HOUR
    found = []
    for each in runs:
        if "from" in wanted:
            is_in = float(wanted["from"]) <= each.start < float(wanted["to"])
        else:
            is_in = each.start >= since or each.status in LIVE or each.end >= since
        is_of = wanted.get("agent_name", each.name) == each.name
        if is_in and is_of and wanted.get("status", each.status) == each.status:
            found.append(each)
    return found


def figures(browser: Client, address: str) -> dict[str, dict[str, Any]]:
    return {each["label"]: each for each in browser.get(address).context["figures"]}


def facts(browser: Client) -> list[str]:
    """Those on the overview."""
    return [fact.text for group in browser.get("/").context["facts"] for fact in group]


def rows_of_csv(client: Client, address: str) -> list[dict[str, str]]:
    answer = client.get(address, headers={"Accept": "text/csv"})
    text = b"".join(answer).decode().removeprefix("\N{BYTE ORDER MARK}")
    return list(csv.DictReader(text.splitlines()))


def value(figure: dict[str, Any]) -> str:
    return re.sub("<[^>]+>", "", str(figure["value"]))


@pytest.mark.slow
def test_executions_are_measured_alike_wherever_they_are_shown(
    browser: Client, client: Client, runs: list[Run]
) -> None:
    window = {"from": int(now() - 800 * HOUR), "to": int(now() - 10 * HOUR)}
    for template in QUERIES:
        assert_measured_alike(browser, client, runs, template.format(**window))


def assert_measured_alike(browser: Client, client: Client, runs: list[Run], query: str) -> None:
    found = matching(runs, query)
    failed = sum(each.status == "error" for each in found)
    rate = failed / len(found) if found else 0.0
    running = sum(
        each.status == "running"
        for each in runs
        if each.name == dict(asked(query)).get("agent_name", each.name)
        and each.status == dict(asked(query)).get("status", each.status)
    )
    median = statistics.median([each.runtime for each in found]) if found else None
    api = query if "hours" in query or "from" in query else f"{query}&hours=24"

    stats = client.get(f"/api/dashboard/agent-stats?{api}").json()
    listed = client.get(f"/api/dashboard/running-agents?{query}").json()
    file = rows_of_csv(browser, f"/executions/export?{query}")
    api_file = rows_of_csv(client, f"/api/dashboard/running-agents?{query}")

    fids = {each.fid for each in found}
    assert {row["execution_id"] for row in file} == {row["fid"] for row in api_file} == fids
    assert listed["total"] == stats["total_executions"] == len(found)
    assert stats["by_status"].get("error", 0) == failed
    assert sum(row["status"] == "error" for row in file) == failed
    assert stats["error_rate"] == pytest.approx(rate)
    assert stats["p50_runtime"] == pytest.approx(median, abs=1e-4)
    for row in file:
        [known] = [each for each in found if each.fid == row["execution_id"]]
        assert float(row["waiting_seconds"]) == pytest.approx(known.waited, abs=1e-2)
        if known.status not in LIVE:
            assert float(row["runtime_seconds"]) == pytest.approx(known.runtime, abs=1e-2)
    for page in PAGES:
        shown = figures(browser, f"/{page}?{query}")
        assert value(shown["Executions"]) == str(len(found))
        assert value(shown["Running now"]) == str(running)
        assert value(shown["Error rate"]) == (percent(100 * rate) if found else NOTHING)
        assert value(shown["Median runtime"]) == duration(median and median * 1000)
        if failed:
            behind = browser.get(shown["Error rate"]["url"]).context["page"].paginator.count
            assert f"{failed} failed" in str(shown["Error rate"]["note"])
            assert behind == failed
    runtimes = browser.get(f"/executions/statistics?{query}").context.get("runtimes")
    assert runtimes[0]["label"] == "Median"
    assert runtimes[0]["value"] == (median and pytest.approx(median * 1000))
    chart = browser.get(f"/executions/timeline?{query}").context["chart"]
    if "from" in query and failed:
        [series] = [each for each in chart["series"] if each["label"] == "error"]
        assert series["total"] == failed


def test_the_overview_measures_as_the_pages_behind_it(browser: Client, runs: list[Run]) -> None:
    found = matching(runs, "hours=24")
    failed = [each for each in found if each.status == "error"]

    told = facts(browser)
    page = figures(browser, "/executions")

    assert f"{value(page['Running now'])} running" in told
    assert f"{len(failed) or 'none'} of {len(found)} runs failed in the last 24 hours" in told
    assert value(page["Error rate"]) == percent(100 * len(failed) / len(found))
    assert value(page["Executions"]) == str(len(found))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
@pytest.mark.parametrize("days", [7, 30, 90])
def test_the_overviews_five_measure_as_the_pages_behind_them(
    organization: Organization, browser: Client, chance: random.Random, days: int, zone: str
) -> None:
    """By day in the zone, and of the same weekdays before."""
    shift = {7: 7, 30: 35, 90: 91}[days]
    current = timezone.now().astimezone(ZoneInfo(zone))
    Organization.objects.filter(pk=organization.pk).update(
        time_zone=zone, created_at=current - timedelta(days=400)
    )
    agent = make_agent(organization)
    edges = (0, days - 1, days, shift - 1, shift, shift + days - 1, shift + days)
    events, by_day = [], Counter[tuple[str, int]]()
    for _ in range(40):
        day = chance.choice([*edges, *range(shift + days)])
        date = current.date() - timedelta(days=day)
        at = datetime.combine(date, time(0), ZoneInfo(zone)).astimezone(UTC)
        outcome = chance.choice(["issued", "issued", "refused", "introspected"])
        events.append(event(agent, at, outcome=outcome))
        by_day[outcome, day] += 1
        status, cost = chance.choice(["finished", "error"]), chance.choice([None, Decimal("0.25")])
        changes = [("starting", 0.0), ("running", 0.1), (status, 0.9)]
        make_execution(organization, changes, start=at.timestamp(), agent=agent, cost=cost)
        by_day["runs", day] += 1
        by_day["failed", day] += status == "error"
        by_day["cents", day] += 25 if cost else 0
    store(organization, events)

    shown = figures(browser, f"/?days={days}")

    assert list(shown) == ["Tokens", "Refused", "Runs", "Failed", "Cost"]
    for name, figure in zip(("issued", "refused", "runs", "failed"), shown.values(), strict=False):
        by_place = [by_day[name, day] for day in reversed(range(days))]
        before = sum(by_day[name, day] for day in range(shift, shift + days))
        assert [point["count"] for point in figure["spark"]] == by_place
        assert value(figure) == str(sum(by_place))
        assert (f"from {before}" in figure["note"]) == (before > 0)
        if not figure["url"]:
            assert not sum(by_place)
        elif name in {"issued", "refused"}:
            assert browser.get(figure["url"]).context["figures"][0]["value"] == value(figure)
        else:
            behind = browser.get(figure["url"]).context["page"].paginator.count
            assert str(behind) == value(figure)
    spent, before = (
        Decimal(sum(by_day["cents", day] for day in range(first, first + days))) / 100
        for first in (0, shift)
    )
    assert value(shown["Cost"]) == (money(spent) if spent else "0")
    assert (f"from {money(before)}" in shown["Cost"]["note"]) == (before > 0)


def test_a_run_says_the_runtime_that_its_row_says(browser: Client, runs: list[Run]) -> None:
    rows = browser.get(f"/executions?hours={EVER}").context["rows"]

    for row in rows:
        known = next(each for each in runs if each.fid == row["execution"].fid)
        if known.status in LIVE - {"awaiting"}:
            continue
        facts = browser.get(f"/executions/{known.fid}").context["facts"]
        assert row["runtime_ms"] == pytest.approx(known.runtime * 1000, abs=1)
        assert facts["runtime"] == duration(row["runtime_ms"])
        assert facts["waited"] == (duration(known.waited * 1000) if known.waited > 0 else "")


def test_agents_at_work_are_among_the_registered_ones_and_used_when_they_got_a_token(
    organization: Organization, browser: Client, client: Client, chance: random.Random
) -> None:
    current = timezone.now()
    used = {}
    for number in range(9):
        agent = make_agent(organization, email=f"agent-{number}@example.com")
        issued, old = chance.randrange(3), chance.randrange(2)
        at = current - timedelta(minutes=chance.randrange(5, 50)) if issued or old else None
        earlier = at and at - timedelta(days=1)
        credential, _ = make_credential(
            agent, last_used_at=earlier if old else at, previous_last_used_at=at if old else None
        )
        with organization_scope(organization):
            for outcome in ("issued",) * (issued or old) + ("refused", "introspected"):
                TokenEvent.objects.create(
                    organization=organization, agent=agent, credential=credential, outcome=outcome
                )
            agent.status = chance.choice([*Agent.Status.values, Agent.Status.ACTIVE])
            agent.save()
        used[agent] = at

    told = facts(browser)
    overview = browser.get("/").context
    listed = browser.get("/agents").context["rows"]
    by_agent = {
        row["agentId"]: row["tokenCount"]
        for row in client.get("/api/v1/analytics/agents").json()["data"]
    }

    living = [agent for agent in used if agent.status != Agent.Status.DECOMMISSIONED]
    served = [agent for agent, at in used.items() if at]
    working = sum(agent in living for agent in served)
    assert f"{working} of {counted(len(living), 'agents')} obtained a token this month" in told
    assert working <= len(living)
    assert set(by_agent) == {str(agent.pk) for agent in served}
    assert f"of {len(served)} agent" in overview["month_summary"]
    active = [agent for agent in used if agent.status == Agent.Status.ACTIVE]
    assert counted(len(active), "live credentials") in told
    assert {row["agent"]: row["last_used_at"] for row in listed} == used
    assert {row["agent"]: row["last_at"] for row in overview["agents"]} == {
        agent: used[agent] for agent in served
    }
    assert {row["agent"].pk: row["tokens"] for row in listed if row["tokens"]} == {
        row["agent"].pk: row["tokens"] for row in overview["agents"]
    }


def test_an_agents_page_measures_as_api_csv_and_the_pages_behind_it(
    organization: Organization, browser: Client, client: Client, chance: random.Random
) -> None:
    """Of 30 days (UTC), by day, and of the same weekdays before."""
    agent, other = (
        make_agent(organization, created_at=timezone.now() - timedelta(days=90)) for _ in range(2)
    )
    credential, _ = make_credential(agent)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=29)
    edges = (0, 29, 30, 34, 35, 64, 65)
    days = [chance.choice([*edges, *range(66)]) for _ in range(60)]
    events, by_day = [], Counter[tuple[str, int]]()
    for day in days:
        outcome = chance.choice(["issued", "issued", "refused", "introspected"])
        at = today - timedelta(days=day)
        at += timedelta(seconds=chance.choice([0, 1]))
        events += [event(agent, at, outcome=outcome, credential=credential), event(other, at)]
        by_day[outcome, day] += 1
    store(organization, events)
    for day in days[:30]:
        status = chance.choice(["finished", "error", "error", "running"])
        changes = [("starting", 0.0), ("running", 0.1)]
        changes += [(status, 0.9)] if status != "running" else []
        cost = chance.choice([None, Decimal("0.25")])
        start = (today - timedelta(days=day)).timestamp()
        for owner in (agent, other):
            make_execution(organization, changes, start=start, agent=owner, cost=cost)
        by_day["runs", day] += 1
        by_day["failed", day] += status == "error"
        by_day["cents", day] += 25 if cost else 0

    def expected(name: str, last: int = 0) -> int:
        return sum(by_day[name, day] for day in range(last, last + 30))

    shown = figures(browser, f"/agents/{agent.pk}")
    names = {"Tokens": "issued", "Refused": "refused", "Runs": "runs", "Failed": "failed"}
    for label, name in names.items():
        assert value(shown[label]) == str(expected(name))
        spark = [each["count"] for each in shown[label]["spark"]]
        assert spark == [by_day[name, day] for day in reversed(range(30))]
        before = expected(name, 35)
        assert (f"from {before}" in shown[label]["note"]) == (before > 0)
    spent = Decimal(expected("cents")) / 100
    assert value(shown["Cost"]) == (money(spent) if spent else "0")

    for outcome in ("issued", "refused"):
        address = f"/api/v1/analytics/tokens?agentId={agent.pk}&days=30&outcome={outcome}"
        rows = client.get(address).json()["data"]
        assert [row["count"] for row in rows] == [
            by_day[outcome, day] for day in reversed(range(30))
        ]
        assert sum(int(row["count"]) for row in rows_of_csv(client, address)) == expected(outcome)
    query = f"agent={agent.pk}&from={first:%Y-%m-%d}"
    stats = client.get(f"/api/dashboard/agent-stats?{query}").json()
    file = rows_of_csv(client, f"/api/dashboard/running-agents?{query}")
    assert stats["total_executions"] == len(file) == expected("runs")
    assert stats["by_status"].get("error", 0) == expected("failed")
    exported = rows_of_csv(browser, f"/executions/export?{query}&tz=UTC")
    assert sum(Decimal(row["cost_usd"] or 0) for row in exported) == spent
    for label in ("Runs", "Failed"):
        if expected(names[label]):
            behind = browser.get(shown[label]["url"]).context["page"].paginator.count
            assert behind == expected(names[label])
    for label, outcome in (("Tokens", "issued"), ("Refused", "refused")):
        if expected(outcome):
            behind = browser.get(shown[label]["url"]).context["figures"][0]["value"]
            assert behind == str(expected(outcome))
