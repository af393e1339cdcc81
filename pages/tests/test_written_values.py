"""Formatting of numbers, times and statuses, the same on every page."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings
from django.core.paginator import Paginator
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone

from core.formatting import time_phrase
from pages.lists import ListPage
from pages.templatetags import agentidp as written

DASH = "\N{EN DASH}"
CASES = json.loads((settings.BASE_DIR / "tests" / "scripts" / "words.json").read_text())
"""Also used by the tests of the scripts."""


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(48210, "48,210"), (0, "0"), (None, DASH), (2.5, "2.5"), (3.0, "3"), (0.04, "< 0.1")],
)
def test_numbers_are_grouped_and_nothing_is_not_zero(value, text):
    assert plain(written.number(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (83.0, "83 %"),
        (6.14, "6.1 %"),
        (0, "0 %"),
        (0.02, "< 0.1 %"),
        (99.97, "> 99.9 %"),
        (100, "100 %"),
        (None, DASH),
    ],
)
def test_percentages_have_one_decimal_at_most(value, text):
    assert plain(written.percent(value)) == text


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (Decimal("1284.07"), "USD", "$ 1,284.07"),
        (Decimal("0.0021"), "EUR", "€ 0.0021"),
        (Decimal("0.00000410"), "USD", "< $ 0.0001"),
        (Decimal("0.0001"), "USD", "$ 0.0001"),
        (0, "USD", "$ 0.00"),
        (12, "CHF", "CHF 12.00"),
        (None, "USD", DASH),
    ],
)
def test_money_has_its_currency(value, currency, text):
    assert plain(written.money(value, currency)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ms"),
        (0.2, "< 1 ms"),
        (340, "340 ms"),
        (3100, "3.1 s"),
        (6020, "6 s"),
        (38_000, "38 s"),
        (59_999, "1 m 00 s"),
        (130_000, "2 m 10 s"),
        (3_900_000, "1 h 05 m"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
        (None, DASH),
    ],
)
def test_durations_have_two_units(value, text):
    assert plain(written.duration(value)) == text


@pytest.mark.parametrize(("value", "text"), CASES["duration"])
def test_durations_are_those_that_scripts_write(value, text):
    assert plain(written.duration(value)) == text


@pytest.mark.parametrize(("seconds", "text"), CASES["ago"])
def test_times_are_those_that_scripts_write(seconds, text):
    assert plain(written.ago(seconds)) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=2), "just now"),
        (timedelta(seconds=41), "41 s ago"),
        (timedelta(minutes=12), "12 min ago"),
        (timedelta(minutes=-5), "in 5 min"),
    ],
)
def test_times_are_relative_under_an_hour(ago, text):
    assert plain(written.relative_time(timezone.now() - ago)) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 22, 5, 0, 2, tzinfo=UTC), "05:00:02"),
        (datetime(2026, 11, 19, 5, 0, 2, tzinfo=UTC), "19 Nov, 05:00"),
        (datetime(2025, 11, 19, 5, 0, 2, tzinfo=UTC), "19 Nov 2025"),
    ],
)
def test_older_times_are_absolute(moment, text):
    now = datetime(2026, 11, 22, 14, 32, 8, tzinfo=UTC)

    assert written.absolute_time(moment, now) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 22, 5, 0, 2, tzinfo=UTC), "at 05:00:02"),
        (datetime(2026, 11, 19, 5, 0, 2, tzinfo=UTC), "on 19 Nov at 05:00"),
        (datetime(2025, 11, 19, 5, 0, 2, tzinfo=UTC), "on 19 Nov 2025"),
    ],
)
def test_a_time_is_part_of_a_sentence(moment, text):
    assert time_phrase(moment, datetime(2026, 11, 22, 14, 32, 8, tzinfo=UTC)) == text


def test_time_element_carries_the_exact_time():
    html = written.clock(datetime(2025, 11, 19, 5, 0, 2, tzinfo=UTC))

    assert 'datetime="2025-11-19T05:00:02Z"' in html
    assert 'title="19 Nov 2025, 05:00:02 UTC"' in html


def test_long_ids_lose_their_middle():
    assert written.shorten_id("0199c1aa-77d0-7e00-9a10-31c9e2a7e2a7") == "0199c1…e2a7"
    assert written.shorten_id("short") == "short"


def test_status_is_escaped_and_an_unknown_one_is_grey():
    html = written.status("<b>new</b>")

    assert "tone-idle" in html
    assert "<b>" not in html


def test_sort_header_turns_the_order_and_forgets_the_page():
    request = RequestFactory().get("/tokens?sort=-count&page=3&status=issued")
    template = Template('{% load agentidp %}{% sort_header "Uses" "count" numeric=True %}')

    html = template.render(Context({"request": request, "sort": "-count"}))

    assert 'aria-sort="descending"' in html
    assert 'href="?sort=count&amp;status=issued"' in html


def test_card_escapes_what_it_is_given_and_keeps_its_content():
    template = Template("{% load agentidp %}{% card title=title %}<p>kept</p>{% endcard %}")

    html = template.render(Context({"title": "<script>"}))

    assert "&lt;script&gt;" in html
    assert "<p>kept</p>" in html


def test_pages_lead_to_their_neighbours_and_both_ends() -> None:
    request = RequestFactory().get("/executions?status=finished")

    def links(number: int, total: int = 200) -> list[tuple[str, str]]:
        page = ListPage(range(total), number, Paginator(range(total), 50))
        page.next_cursor = "older" if total > 50 * number else None
        page.previous_cursor = "newer" if number > 2 else None
        text = render_to_string("components/pagination.html", {"page": page}, request)
        return re.findall(r'href="(.*?)">(\w+)<', text)

    here = "?status=finished"
    onwards, back = "&amp;cursor=older", "&amp;cursor=newer"
    assert links(1) == [(f"{here}&amp;page=2{onwards}", "next"), (f"{here}&amp;page=4", "last")]
    assert links(2)[0] == (f"{here}&amp;page=1", "previous")
    assert links(3)[:2] == [(here, "first"), (f"{here}&amp;page=2{back}", "previous")]
    assert [word for _, word in links(2)] == ["previous", "next", "last"]
    assert [word for _, word in links(3)] == ["first", "previous", "next"]
    assert links(1, total=1) == []
