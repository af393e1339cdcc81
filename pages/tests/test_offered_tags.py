"""The filter by tag offers existing tags."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from executions import known_tags
from executions.event_log import NewEvent
from executions.models import Execution, now
from executions.tests.factories import make_execution, make_user_of, tagged
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

Browser = Callable[[Membership], Client]
OFFERED = re.compile('name="tag" value="(.*?)"')


def run(organization: Organization, tags: list[Any], age: float = 60, **more: Any) -> Execution:
    started = now() - age
    told = tagged("meta", started, summary="Weekly report", tags=tags)
    return make_execution(
        organization, start=started, events=[told, NewEvent(started, "stdout", "…")], **more
    )


def offered(browser: Client, query: str = "") -> list[str]:
    page = browser.get(f"/executions{query}").content.decode()
    return list(map(unescape, OFFERED.findall(page)))


@pytest.fixture
def operator(organization: Organization, signed_in: Browser) -> Client:
    return signed_in(make_membership(organization, "operator"))


def test_every_tag_is_offered_once_as_the_newest_run_spells_it(
    organization: Organization, other_organization: Organization, operator: Client
) -> None:
    run(organization, ["finance", "2026-Q3"], age=3600)
    run(organization, ["Finance", 'a "b" & c', 7, "\u202ehidden", "x" * 300])
    run(other_organization, ["foreign"])

    assert offered(operator) == ["2026-Q3", 'a "b" & c', "Finance"]


def test_a_tag_of_another_time_than_the_window_is_offered_too(
    organization: Organization, operator: Client
) -> None:
    run(organization, ["yearly"], age=40 * 24 * 3600)

    assert offered(operator, "?hours=1") == ["yearly"]


def test_a_person_is_offered_the_tags_of_their_own_runs(
    organization: Organization, signed_in: Browser
) -> None:
    viewer = make_membership(organization, "viewer")
    run(organization, ["own"], user=make_user_of(viewer))
    run(organization, ["secret"])

    assert offered(signed_in(viewer)) == ["own"]


def test_no_more_runs_are_read_and_tags_offered_than_the_limits_say(
    organization: Organization, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_tags, "MAX_RUNS", 2)
    monkeypatch.setattr(known_tags, "MAX_TAGS", 2)
    for age, tags in ((3, ["old"]), (2, ["often", "b"]), (1, ["often", "a"])):
        run(organization, tags, age=age * 60)

    found = offered(operator)

    assert len(found) == 2
    assert "often" in found
    assert "old" not in found


def test_of_a_run_with_very_many_tags_a_page_reads_and_shows_the_first(
    organization: Organization, operator: Client
) -> None:
    """An earlier release stored as many as an agent sent."""
    execution = run(organization, ["first"])
    tags = [f"tag-{number}" for number in range(2_000)]
    with organization_scope(organization):
        Execution.objects.filter(pk=execution.pk).update(meta={"tags": tags})

    page = operator.get("/executions").content.decode()

    assert [f">{tag}</a>" in page for tag in tags] == [number < 32 for number in range(2_000)]
    assert set(map(unescape, OFFERED.findall(page))) <= set(tags[:32])
