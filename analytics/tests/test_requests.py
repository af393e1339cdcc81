"""The breakdown of token requests, on tables small enough to add up by hand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from agents.models import Agent
from agents.tests.factories import make_agent
from analytics.requests.breakdown import Breakdown, break_down, count_before
from analytics.requests.filters import (
    ADDRESSES,
    AGENTS,
    LISTS,
    OUTCOMES,
    SECRETS,
    RequestFilters,
    Secret,
)
from analytics.requests.folds import Folds
from analytics.requests.rows import rows_of
from analytics.requests.window import Window
from analytics.tests.factories import event, store
from core.errors import InvalidValue
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens.models import Credential
from tokens.tests.factories import make_credential

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 11, 26, 16, 42, tzinfo=UTC)  # a Thursday
DAY = timedelta(days=1)
YESTERDAY = Window.of_day(NOW.date() - DAY, UTC_ZONE, NOW)
WEEK = Window.last_days(7, UTC_ZONE, NOW)
EVERYTHING = RequestFilters()


@pytest.fixture(autouse=True)
def then() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def screener(organization: Organization) -> Agent:
    return make_agent(organization, email="screener@agents.example")


@pytest.fixture
def secret(screener: Agent) -> Credential:
    return make_credential(screener, name="ci-runner")[0]


@pytest.fixture
def traffic(organization: Organization, screener: Agent, secret: Credential) -> None:
    """Yesterday: ten tokens at 13:00 with the new secret from two addresses, three refusals at
    21:00, one token of another agent. The day before: two tokens with the old secret.
    """
    other = make_agent(organization, email="prod@agents.example")
    start = YESTERDAY.start
    new = {"credential": secret, "secret_hint": "1a09", "credential_name": "ci-runner"}
    refused = {**new, "outcome": "refused", "ip_address": "203.0.113.58"}
    events = [
        *(
            event(
                screener,
                start + timedelta(hours=13, seconds=54 * n),
                **new,
                ip_address=f"203.0.113.{58 + n % 2}",
            )
            for n in range(10)
        ),
        *(
            event(screener, start + timedelta(hours=21, minutes=n), **refused, reason=reason)
            for n, reason in enumerate(("wrong_secret", "wrong_secret", "agent_suspended"))
        ),
        event(other, start + timedelta(hours=13, minutes=1), ip_address="10.20.0.181"),
        event(screener, start + timedelta(hours=14), outcome="introspected"),
        *(
            event(
                screener,
                start - timedelta(hours=n),
                credential=secret,
                secret_hint="61ee",
                ip_address="10.20.0.181",
            )
            for n in (3, 4)
        ),
    ]
    store(organization, events)


def breakdown(
    organization: Organization, filters: RequestFilters = EVERYTHING, **options: Any
) -> Breakdown:
    window = options.pop("window", YESTERDAY)
    with organization_scope(organization):
        return break_down(organization, window, filters, **options)


def ranking(found: Breakdown, name: str) -> list[tuple[str, int, int | None]]:
    return [
        (value.name or value.hint, value.count, value.before)
        for value in found.rankings[name].values
    ]


@pytest.mark.usefixtures("traffic")
def test_a_day_is_counted_by_hour_and_ranked_beside_the_day_before(
    organization: Organization,
) -> None:
    found = breakdown(organization)

    by_hour = {b.start.hour: b.by_outcome for b in found.buckets if b.total}
    assert (found.window.step, len(found.buckets)) == ("hour", 24)
    assert by_hour == {13: {"issued": 11}, 21: {"refused": 3}}
    assert (found.count(), found.count("refused"), found.before(), found.before("refused")) == (
        *(14, 3),
        *(2, 0),
    )
    assert ranking(found, AGENTS) == [("screener", 13, 2), ("prod", 1, 0)]
    assert ranking(found, ADDRESSES) == [
        ("203.0.113.58", 8, 0),
        ("203.0.113.59", 5, 0),
        ("10.20.0.181", 1, 2),
    ]
    assert ranking(found, OUTCOMES) == [
        ("issued", 11, 2),
        ("wrong secret", 2, 0),
        ("agent suspended", 1, 0),
    ]
    assert found.since is None


@pytest.mark.usefixtures("traffic")
def test_a_secret_has_the_hint_and_the_name_it_had_then(
    organization: Organization, secret: Credential
) -> None:
    values = {value.hint: value for value in breakdown(organization).rankings[SECRETS].values}

    assert (values["1a09"].name, values["1a09"].count, values["1a09"].is_new) == (
        *("ci-runner", 13),
        True,
    )
    assert (values["61ee"].count, values["61ee"].before) == (0, 2)
    assert values["61ee"].key == f"{secret.pk}:61ee"


def test_a_credential_with_one_secret_stands_once_though_old_requests_have_no_hint(
    organization: Organization, screener: Agent, secret: Credential
) -> None:
    at = YESTERDAY.start + timedelta(hours=5)
    own = {"credential": secret}
    store(
        organization,
        [event(screener, at, **own), event(screener, at, **own, secret_hint=secret.secret_hint)],
    )

    (value,) = breakdown(organization).rankings[SECRETS].values

    assert (value.key, value.hint, value.count) == (str(secret.pk), secret.secret_hint, 2)
    assert breakdown(organization, RequestFilters(secret=Secret.parse(value.key))).count() == 2


@pytest.mark.usefixtures("traffic")
def test_each_list_ignores_its_own_filter_and_obeys_the_others(
    organization: Organization, screener: Agent
) -> None:
    found = breakdown(
        organization, RequestFilters(agent_id=screener.pk, not_reasons=("wrong_secret",))
    )

    assert ranking(found, AGENTS) == [("screener", 11, 2), ("prod", 1, 0)]
    assert [value.is_chosen for value in found.rankings[AGENTS].values] == [True, False]
    assert ranking(found, ADDRESSES)[0] == ("203.0.113.58", 6, 0)
    assert ranking(found, OUTCOMES) == [
        ("issued", 10, 2),
        ("wrong secret", 2, 0),
        ("agent suspended", 1, 0),
    ]
    assert (found.count(), found.before()) == (11, 2)


FILTERS: dict[str, Any] = {
    "nothing": lambda agent, secret: EVERYTHING,
    "an agent": lambda agent, secret: RequestFilters(agent_id=agent.pk),
    "not an agent": lambda agent, secret: RequestFilters(not_agents=(agent.pk,)),
    "a credential": lambda agent, secret: RequestFilters(secret=Secret(secret.pk)),
    "a secret": lambda agent, secret: RequestFilters(secret=Secret(secret.pk, "1a09")),
    "not a secret": lambda agent, secret: RequestFilters(not_secrets=(Secret(secret.pk, "1a09"),)),
    "not a credential": lambda agent, secret: RequestFilters(not_secrets=(Secret(secret.pk),)),
    "an address": lambda agent, secret: RequestFilters(address="203.0.113.58"),
    "not addresses": lambda agent, secret: RequestFilters(
        not_addresses=("203.0.113.58", "10.20.0.181")
    ),
    "an outcome": lambda agent, secret: RequestFilters(outcome="issued"),
    "another outcome": lambda agent, secret: RequestFilters(outcome="introspected"),
    "a reason": lambda agent, secret: RequestFilters(reason="wrong_secret"),
    "a reason that nothing has": lambda agent, secret: RequestFilters(reason="monthly_limit"),
    "not a reason": lambda agent, secret: RequestFilters(not_reasons=("wrong_secret",)),
    "an hour": lambda agent, secret: RequestFilters(hour=13),
    "a weekday": lambda agent, secret: RequestFilters(dow=3),
    "another weekday": lambda agent, secret: RequestFilters(dow=4),
    "two filters": lambda agent, secret: RequestFilters(agent_id=agent.pk, outcome="refused"),
}
WINDOWS = {
    "a day": YESTERDAY,
    "a week": WEEK,
    "a week in Berlin": Window.last_days(7, ZoneInfo("Europe/Berlin"), NOW),
    "a day in Kathmandu": Window.of_day(NOW.date() - DAY, ZoneInfo("Asia/Kathmandu"), NOW),
    "a month": Window.last_days(30, UTC_ZONE, NOW),
    "some minutes": replace(YESTERDAY, end=YESTERDAY.start + timedelta(hours=13, minutes=5)),
    "years": replace(YESTERDAY, start=YESTERDAY.start - 800 * DAY),
}


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_every_part_counts_the_same_requests(
    organization: Organization, screener: Agent, secret: Credential, window: Window
) -> None:
    """Whichever way it is counted: from rollups, from events, or as lines."""
    different = {}
    for name, made in FILTERS.items():
        filters = made(screener, secret)
        found = breakdown(organization, filters, window=window)
        with organization_scope(organization):
            rows = rows_of(organization, filters, window).count()
            folds = Folds.of(organization, window, filters)
            lines = folds.page(0, 100)
            assert len(lines) == folds.count()
        counts = {"rows": rows, "bars": found.count(), "lines": sum(each.times for each in lines)}
        for each in LISTS:
            counts[each] = sum(value.count for value in found.rankings[each].matching)
        if len(set(counts.values())) > 1:
            different[name] = counts

    assert different == {}


@pytest.mark.usefixtures("traffic")
def test_of_too_many_requests_the_newest_are_ranked_and_nothing_is_compared(
    organization: Organization, screener: Agent
) -> None:
    found = breakdown(organization, most=3)

    assert found.count() == 14, "hours are counted by the rollup"
    assert ranking(found, OUTCOMES) == [("wrong secret", 2, None), ("agent suspended", 1, None)]
    assert ranking(found, AGENTS) == [("screener", 13, None), ("prod", 1, None)], "days as well"
    assert found.before() is None
    assert found.since == YESTERDAY.start + timedelta(hours=14)

    narrowed = breakdown(organization, RequestFilters(address="203.0.113.58"), most=3)
    assert (narrowed.count(), narrowed.buckets_since) == (3, found.since)


@pytest.mark.usefixtures("traffic")
def test_lines_fold_what_is_alike_within_an_hour(organization: Organization) -> None:
    with organization_scope(organization):
        folds = Folds.of(organization, YESTERDAY, EVERYTHING)
        lines = folds.page(0, 100)
        events = folds.events(lines[-1], 100)

    assert [(each.rows, each.newest.reason, each.newest.used_hint) for each in lines] == [
        (1, "agent_suspended", "1a09"),
        (2, "wrong_secret", "1a09"),
        (10, "", "1a09"),
        (1, "", ""),
    ]
    ten = next(each for each in lines if each.rows == 10)
    assert ten.every == timedelta(seconds=54)
    assert ten.addresses == ("203.0.113.58", "203.0.113.59")
    assert len(events) == lines[-1].rows


@pytest.mark.parametrize(
    ("days", "back"), [(1, 1), (2, 2), (6, 6), (7, 7), (8, 14), (30, 35), (90, 91)]
)
def test_a_window_is_compared_with_the_same_weekdays(days: int, back: int) -> None:
    window = Window.last_days(days, UTC_ZONE, NOW)

    previous = window.previous

    assert previous.start == window.start - back * DAY
    assert previous.end == NOW - back * DAY, "as far as this one has come"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
@pytest.mark.parametrize("days", [1, 8, 30])
@pytest.mark.parametrize(
    "narrow",
    [{}, {"outcome": "refused"}, {"address": "203.0.113.58"}, {"hour": 13}],
    ids=["all", "refused", "address", "hour"],
)
@pytest.mark.usefixtures("traffic")
def test_each_bucket_stands_beside_the_one_before(
    organization: Organization, zone: str, days: int, narrow: dict[str, Any]
) -> None:
    filters = replace(EVERYTHING, **narrow)
    # So that the window before is that of the traffic, whatever way it is counted.
    later = NOW + (Window.last_days(days, UTC_ZONE, NOW).days_back - 1) * DAY
    window = Window.last_days(days, ZoneInfo(zone), later)
    earlier = replace(window.whole_previous, now=later)

    with organization_scope(organization):
        found = count_before(organization, window, filters)
        expected = break_down(organization, earlier, filters)

    assert found == tuple(bucket.total for bucket in expected.buckets)
    assert sum(found) > 0 or zone != "UTC"
    assert [edge.time() for edge in window.edges] == [edge.time() for edge in window.edges_before]


@pytest.mark.usefixtures("traffic")
def test_what_is_not_read_or_not_of_whole_weeks_stands_beside_nothing(
    organization: Organization,
) -> None:
    tomorrow = Window.of_day(NOW.date(), UTC_ZONE, NOW)
    years = Window.read({"from": "2024-01-01"}, UTC_ZONE, NOW)
    by_address = replace(EVERYTHING, address="203.0.113.58")

    with organization_scope(organization):
        assert count_before(organization, years, EVERYTHING) is None
        assert count_before(organization, tomorrow, by_address, most=3) is None
        assert sum(count_before(organization, tomorrow, EVERYTHING, most=3) or ()) == 14


def test_a_day_of_25_hours_is_compared_with_the_day_before() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    window = Window.of_day(date(2026, 10, 25), berlin, NOW)

    assert (len(window.edges), window.step, window.days_back) == (26, "hour", 1)
    assert window.previous.start == datetime(2026, 10, 23, 22, tzinfo=UTC)
    assert window.previous.end == datetime(2026, 10, 24, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"days": "0"}, "days"),
        ({"days": "91"}, "days"),
        ({"days": "7", "from": "2026-11-20"}, "days"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-25", "to": "2026-11-24"}, "to"),
    ],
)
def test_a_window_that_cannot_be_is_refused(values: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        Window.read(values, UTC_ZONE, NOW)

    assert list(refused.value.details) == [name]


@pytest.mark.parametrize(
    ("values", "start", "end"),
    [
        ({"from": "2026-11-25"}, "2026-11-25", "2026-11-27"),
        ({"from": "2026-11-20", "to": "2026-11-21"}, "2026-11-20", "2026-11-22"),
        ({"from": "0", "to": "2999-01-01"}, "2000-01-01", "2026-11-27"),
        ({"from": "2999-01-01"}, "2026-11-27", "2026-11-27"),
        ({"to": "1970-01-02"}, "2000-01-01", "2000-01-01"),
    ],
)
def test_a_window_lies_within_known_times(values: dict[str, str], start: str, end: str) -> None:
    window = Window.read(values, UTC_ZONE, NOW)

    assert [f"{at:%Y-%m-%d}" for at in (window.start, window.end)] == [start, end]
    assert window.previous.start <= window.previous.end
    assert len(window.edges) <= 400
