"""Ids chosen by engines do not collide with AgentIdP's words in the same place of a URL."""

import re
from typing import Any

import pytest
from django.urls import reverse

from agentidp.devtools.routes import paths
from agents.tests.factories import make_agent
from conftest import ClientFor
from executions.models import RESERVED_IDS, Execution
from executions.tests.factories import RUNNING, make_execution
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

CHOSEN = frozenset({"fid", "executionId"})
"""Path parameters for ids that a client chooses."""


def shape(path: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The fixed segments of a path, and the positions of chosen ids."""
    segments = tuple(path.strip("/").split("/"))
    places = tuple(n for n, each in enumerate(segments) if each.strip("{}") in CHOSEN)
    return segments, places


def test_the_words_that_engines_cannot_choose_are_those_that_routes_need() -> None:
    known = [path for path, _ in paths()]
    words: set[str] = set()
    for path in known:
        segments, places = shape(path)
        for place in places:
            pattern = "/".join(
                "[^/{}]+" if n == place else "[^/]+" if "{" in each else re.escape(each)
                for n, each in enumerate(segments)
            )
            words |= {
                other.strip("/").split("/")[place]
                for other in known
                if re.fullmatch(pattern, other.strip("/"))
            }

    assert words == RESERVED_IDS


@pytest.mark.parametrize("word", sorted(RESERVED_IDS))
def test_a_word_of_ours_is_refused_as_an_id(
    organization: Organization, client_for: ClientFor, word: str
) -> None:
    answer = client_for(make_agent(organization)).post(
        "/api/v1/executions", {"executionId": word}, content_type="application/json"
    )

    assert answer.status_code == 400
    assert list(answer.json()["details"]) == ["executionId"]
    with organization_scope(organization):
        assert not Execution.objects.exists()


@pytest.mark.parametrize("word", sorted(RESERVED_IDS))
def test_a_run_that_has_such_an_id_is_reached_from_every_list(
    organization: Organization, signed_in: Any, client_for: ClientFor, word: str
) -> None:
    execution = make_execution(organization, RUNNING, fid=word, meta={"summary": "The old one"})
    owner = make_membership(organization)
    browser = signed_in(owner)

    listed = browser.get("/executions").content.decode()
    page = browser.get(reverse("executions:detail", args=[word]))

    assert reverse("executions:detail", args=[word]) == f"/executions/-/{word}"
    assert f'href="/executions/-/{word}"' in listed
    assert page.status_code == 200
    assert page.context["execution"].pk == execution.pk
    for path in ("/log", "/log.txt", "/events", "/events.jsonl"):
        assert browser.get(f"/executions/{word}{path}").status_code == 200, path
    assert client_for(owner).get(f"/api/v1/executions/{word}").json()["executionId"] == word
    assert browser.post(f"/executions/{word}/stop").status_code == 302
    assert browser.post(f"/executions/{word}/delete").status_code == 302
    assert browser.get(f"/executions/-/{word}").status_code == 404


def test_other_ids_have_one_address(organization: Organization, signed_in: Any) -> None:
    make_execution(organization, fid="run-1")
    browser = signed_in(make_membership(organization))

    assert reverse("executions:detail", args=["run-1"]) == "/executions/run-1"
    assert browser.get("/executions/-/run-1").status_code == 404
