"""The command palette finds what the person may see and do, and nothing else."""

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.tests.factories import make_agent
from executions.tests.factories import make_execution
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership, make_user
from pages.palette.rows import MAX_AGENTS, MAX_ROWS
from tokens.tests.factories import make_credential


def find(browser: Client, text: str) -> dict[str, str]:
    """The label and kind of each row with its URL."""
    response = browser.get("/jump", {"q": text})
    assert response.status_code == 200
    found = re.findall(r'<a [^>]*href="([^"]*)">(.*?)</a>', response.content.decode())
    return {unescape(re.sub(r"<[^>]*>", "", shown)).strip(): unescape(url) for url, shown in found}


@pytest.fixture
def owner(organization: Organization, signed_in: Any) -> Client:
    client: Client = signed_in(make_membership(organization))
    return client


@pytest.fixture
def viewer(organization: Organization, signed_in: Any) -> Client:
    client: Client = signed_in(make_membership(organization, Membership.Role.VIEWER))
    return client


def test_without_text_there_are_the_pages_and_actions(owner: Client, viewer: Client) -> None:
    found = find(owner, "")

    assert found["Overview Page"] == "/"
    assert found["Register agent Action"] == "/agents/new"
    assert found["Settings Page"] == "/settings"
    assert {"Settings Page", "Register agent Action", "Audit Page"} & find(
        viewer, ""
    ).keys() == set()


def test_words_match_the_beginnings_of_words(owner: Client) -> None:
    assert next(iter(find(owner, "reg ag"))) == "Register agent Action"
    assert "Register agent Action" not in find(owner, "gister")


def test_one_agent_is_found_by_name_with_what_may_be_done(
    organization: Organization, owner: Client, viewer: Client
) -> None:
    agent = make_agent(organization, email="crm-sync@agents.example")
    make_agent(organization, email="other@crm-sync.example")
    credential, _ = make_credential(agent)
    page = f"/agents/{agent.pk}"

    found = find(owner, "CRM")

    assert found["crm-sync Agent"] == page
    assert found["Rotate crm-sync Action"] == f"{page}/credentials/{credential.pk}/rotate"
    assert found["Suspend crm-sync Action"] == f"{page}/suspend"
    assert found["Requests of crm-sync Action"] == f"/tokens?agent={agent.pk}"
    assert "other Agent" not in found
    assert not [label for label in find(viewer, "crm") if label.startswith(("Rotate", "Suspend"))]
    assert find(viewer, "crm")["crm-sync Agent"] == page
    for label, url in found.items():
        assert owner.get(url).status_code == 200, label


def test_a_verb_is_followed_by_the_agent(organization: Organization, owner: Client) -> None:
    agents = [make_agent(organization, email=f"{name}@x.example") for name in ("alpha", "beta")]
    for agent in agents:
        make_credential(agent)
    second, _ = make_credential(agents[0], name="prod")
    make_credential(agents[1], name="old", status="revoked")

    assert [each for each in find(owner, "rotate b") if "Rotate" in each] == ["Rotate beta Action"]
    rotate = [each for each in find(owner, "rotate alpha") if each.startswith("Rotate")]
    assert f"Rotate alpha: {second.label} Action" in rotate
    assert len(rotate) == 2
    assert "New credential of beta Action" in find(owner, "new credential of be")


def test_agents_are_found_by_a_letter_with_which_actions_begin(
    organization: Organization, owner: Client
) -> None:
    for number in range(MAX_AGENTS):
        make_credential(make_agent(organization, email=f"a{number}@x.example"))
    make_agent(organization, email="researcher@x.example")

    found = find(owner, "r")

    assert "researcher Agent" in found
    assert "Runs of a0 Action" in found


def test_a_suspended_agent_is_not_offered_what_it_cannot_do(
    organization: Organization, owner: Client
) -> None:
    make_agent(organization, email="asleep@x.example", status="suspended")

    found = find(owner, "asleep")

    assert "Change asleep Action" in found
    assert not {"Suspend asleep Action", "New credential of asleep Action"} & found.keys()


def test_a_run_is_found_by_the_beginning_of_its_id(
    organization: Organization, owner: Client, viewer: Client
) -> None:
    run = make_execution(organization, fid="6a01ffb2c3d4e5f60718293a")
    make_execution(organization, fid="6a01ffb3000000000000000a")

    found = [label for label in find(owner, "6a01ffb2") if label.endswith("Run")]

    assert len(found) == 1
    assert find(owner, "6a01ffb2")[found[0]] == f"/executions/{run.fid}"
    assert not [label for label in find(owner, "6a0") if label.endswith("Run")]
    assert not [label for label in find(viewer, "6a01ffb2") if label.endswith("Run")]


def test_a_member_is_found_by_name_and_address(organization: Organization, owner: Client) -> None:
    make_membership(organization, user=make_user("grace@example.com", name="Grace Hopper"))

    assert find(owner, "hopp")["Grace Hopper Member"] == "/members"
    assert "Grace Hopper Member" in find(owner, "grace@ex")


def test_nothing_of_another_organization_is_found(
    organization: Organization, other_organization: Organization, owner: Client
) -> None:
    agent = make_agent(other_organization, email="secret-one@x.example")
    make_credential(agent)
    run = make_execution(other_organization)
    make_membership(other_organization, user=make_user("stranger@example.com", name="Stranger"))

    for text in ("secret", "rotate secret", run.fid[:12], "stranger"):
        kinds = {label.rpartition(" ")[2] for label in find(owner, text)}
        assert kinds <= {"Search"}, text


@pytest.mark.parametrize("text", ["a", "rotate", "rotate a", "requests of agent", "example"])
def test_rows_and_queries_are_few_however_much_there_is(
    organization: Organization, owner: Client, text: str
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert len(find(owner, text)) <= MAX_ROWS
        return len(captured)

    make_credential(make_agent(organization, email="agent-x@example.com"))
    owner.get("/jump")
    before = queries()
    for number in range(3 * MAX_AGENTS):
        agent = make_agent(organization, email=f"agent-{number:02}@example.com")
        make_credential(agent)
        make_execution(organization, agent=agent)

    assert queries() <= before


@pytest.mark.parametrize("text", ["%", "_", "x" * 500, "<script>", "\\"])
def test_odd_text_is_found_nowhere_and_does_no_harm(owner: Client, text: str) -> None:
    response = owner.get("/jump", {"q": text})

    assert response.status_code == 200
    assert "<script>" not in response.content.decode()
