"""Registering an agent with its first credential: one form, and one page with its secret."""

import json
import re
from html import unescape
from typing import Any

import pytest
import yaml
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from executions.models import now
from executions.tests.factories import make_execution
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from pages.agents.snippets import MAX_RESOURCES, secret_name
from pages.tests.agent_form import FORM
from tokens.actions import TooManyCredentials
from tokens.models import Credential
from tokens.tests.clients import FORM as URLENCODED
from tokens.tests.factories import make_credential, make_grant, make_resource

WITH_CREDENTIAL = FORM | {"has_credential": "on", "name": "prod, k8s", "expires_on": "2031-05-04"}
SECRET = re.compile(r"sk_live_[\w-]{43}")


@pytest.fixture
def browser(organization: Organization, signed_in: Any) -> Client:
    client: Client = signed_in(make_membership(organization))
    return client


def snippets(page: str) -> dict[str, list[str]]:
    """The text of each Copy button, by language."""
    found: dict[str, list[str]] = {}
    pattern = r'class="snippet snippet-(\w+)">.*?data-copy="([^"]*)"'
    for language, text in re.findall(pattern, page, re.DOTALL):
        found.setdefault(language, []).append(unescape(text))
    return found


def test_one_form_makes_an_agent_and_its_first_credential(
    organization: Organization, browser: Client
) -> None:
    response = browser.post("/agents/new", WITH_CREDENTIAL)

    page = response.content.decode()
    with organization_scope(organization):
        agent = Agent.objects.get()
        credential = Credential.objects.get()
        actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "night-watch is registered" in page
    assert credential.agent_id == agent.pk
    assert credential.name == "prod, k8s"
    assert credential.expires_at is not None
    assert credential.expires_at.isoformat() == "2031-05-05T00:00:00+00:00"
    assert {"agent.created", "credential.generated"} <= actions
    assert f'data-shown-once="/agents/{agent.pk}"' in page
    assert len(set(SECRET.findall(page))) == 1
    assert not SECRET.search(browser.get(f"/agents/{agent.pk}").content.decode())


def test_without_a_credential_its_fields_do_not_matter(
    organization: Organization, browser: Client
) -> None:
    response = browser.post("/agents/new", FORM | {"expires_on": "2020-01-01"})

    with organization_scope(organization):
        agent = Agent.objects.get()
        assert not Credential.objects.exists()
    assert response["Location"] == f"/agents/{agent.pk}"


def test_a_mistake_about_the_credential_is_reported_with_those_about_the_agent(
    organization: Organization, browser: Client
) -> None:
    make_agent(organization, email=FORM["email"])
    wrong = WITH_CREDENTIAL | {"owner": "", "expires_on": "2020-01-01"}

    response = browser.post("/agents/new", wrong)

    assert response.status_code == 400
    assert set(response.context["form"].errors) == {"email", "owner", "expires_on"}
    with organization_scope(organization):
        assert Agent.objects.count() == 1


def test_no_agent_is_registered_without_the_credential_that_was_wanted(
    organization: Organization, browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tokens.actions.credentials.MAX_CREDENTIALS", 0)

    response = browser.post("/agents/new", WITH_CREDENTIAL)

    assert response.status_code == 400
    assert TooManyCredentials.message in response.content.decode()
    with organization_scope(organization):
        assert not Agent.objects.exists()


def test_only_settings_contain_the_secret(organization: Organization, browser: Client) -> None:
    page = browser.post("/agents/new", WITH_CREDENTIAL).content.decode()

    [secret] = set(SECRET.findall(page))
    found = snippets(page)
    with organization_scope(organization):
        client_id = str(Agent.objects.get().pk)
    assert {language for language, [text] in found.items() if secret in text} == {
        "env",
        "kubernetes",
    }
    for [text] in found.values():
        assert client_id in text
        assert "/api/v1/token" in text
        assert "agents:read" in text


def test_settings_are_read_back_as_written(organization: Organization, browser: Client) -> None:
    agent = make_agent(organization, email="odd.name_@agents.example", scopes=[])
    make_grant(make_resource(organization, scopes=["it's:$x`y"]), agent, ["it's:$x`y"])

    page = browser.post(f"/agents/{agent.pk}/credentials/new", {"name": ""}).content.decode()

    [kubernetes], [env] = snippets(page)["kubernetes"], snippets(page)["env"]
    secret = yaml.safe_load(kubernetes)
    assert secret["metadata"]["name"] == "odd-name-agentidp"
    assert secret["stringData"]["SCOPE"] == "it's:$x`y"
    assert secret["stringData"]["RESOURCE"].startswith("https://mcp.example.com/")
    assert secret["stringData"].keys() == {line.partition("=")[0] for line in env.splitlines()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("crm-sync", "crm-sync-agentidp"), ("Ünï.x", "n-x-agentidp"), ("…", "agent-agentidp")],
)
def test_the_name_of_a_kubernetes_secret_is_valid(name: str, expected: str) -> None:
    assert secret_name(name) == expected
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", secret_name(name * 60))


def test_each_resource_of_an_agent_has_its_own_snippets(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization, scopes=["agents:read"])
    resource = make_resource(organization, name="Files")
    make_grant(resource, agent)

    page = browser.post(f"/agents/{agent.pk}/credentials/new", {"name": ""}).content.decode()

    own, files = snippets(page)["python"]
    assert '"scope": "agents:read"' in own
    assert "resource" not in own
    assert '"scope": "files:read"' in files
    assert f'"resource": {json.dumps(resource.identifier)}' in files


def test_of_many_resources_some_have_snippets_and_the_others_are_counted(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization, scopes=["agents:read"])
    for number in range(MAX_RESOURCES + 2):
        identifier = f"https://r{number}.example.com"
        make_grant(make_resource(organization, name="R", identifier=identifier), agent)

    page = browser.post(f"/agents/{agent.pk}/credentials/new", {"name": ""}).content.decode()

    assert len(snippets(page)["curl"]) == 1 + MAX_RESOURCES
    assert "And 2 more resources" in page


def test_a_rotated_secret_has_the_same_snippets(
    organization: Organization, browser: Client
) -> None:
    credential, old = make_credential(make_agent(organization))

    page = browser.post(
        f"/agents/{credential.agent_id}/credentials/{credential.pk}/rotate", {"grace_seconds": "0"}
    ).content.decode()

    assert set(snippets(page)) == {"curl", "python", "node", "env", "kubernetes"}
    assert old not in page


def test_after_the_first_token_the_page_waits_for_the_first_run(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization)
    credential, secret = make_credential(agent)
    path = f"/agents/{agent.pk}/credentials/{credential.pk}"
    assert "first-run" not in browser.get(f"{path}/first-token").content.decode()
    body = f"grant_type=client_credentials&client_id={agent.pk}&client_secret={secret}"
    Client().post("/api/v1/token", body, content_type=URLENCODED)

    part = browser.get(f"{path}/first-token").content.decode()
    assert "First token received" in part
    assert set(snippets(part)) == {"curl", "python", "node"}
    assert f'hx-get="{path}/first-run"' in part
    make_execution(organization, agent=agent, credential=None)
    assert "Waiting for the first run" in browser.get(f"{path}/first-run").content.decode()

    run = make_execution(organization, agent=agent, credential=credential)

    part = browser.get(f"{path}/first-run").content.decode()
    assert "First run received" in part
    assert f'href="/executions/{run.fid}"' in part
    assert "hx-get" not in part


def test_what_an_agent_cannot_report_is_not_offered(
    organization: Organization, browser: Client
) -> None:
    agent = make_agent(organization, scopes=["agents:read"])
    credential, secret = make_credential(agent)
    body = f"grant_type=client_credentials&client_id={agent.pk}&client_secret={secret}"
    Client().post("/api/v1/token", body, content_type=URLENCODED)

    part = browser.get(f"/agents/{agent.pk}/credentials/{credential.pk}/first-token")

    assert "First token received" in part.content.decode()
    assert snippets(part.content.decode()) == {}


@pytest.mark.parametrize(
    ("seconds_ago", "words"), [(3600, "Waiting for the first run"), (60, "First run received")]
)
def test_a_run_from_before_the_secret_is_not_its_first_unless_a_clock_is_behind(
    organization: Organization, browser: Client, seconds_ago: int, words: str
) -> None:
    agent = make_agent(organization)
    credential, _ = make_credential(agent)
    make_execution(organization, agent=agent, credential=credential, start=now() - seconds_ago)

    part = browser.get(f"/agents/{agent.pk}/credentials/{credential.pk}/first-run")

    assert words in part.content.decode()


def test_a_secret_that_was_mistyped_before_a_rotation_says_nothing_about_the_new_one(
    organization: Organization, browser: Client
) -> None:
    credential, _ = make_credential(make_agent(organization))
    path = f"/agents/{credential.agent_id}/credentials/{credential.pk}"
    wrong = f"grant_type=client_credentials&client_id={credential.agent_id}&client_secret=sk_live_x"
    Client().post("/api/v1/token", wrong, content_type=URLENCODED)

    browser.post(f"{path}/rotate", {"grace_seconds": "0"})

    part = browser.get(f"{path}/first-token").content.decode()
    assert "Waiting for the first token with this secret" in part


def test_a_mistyped_secret_is_named(organization: Organization, browser: Client) -> None:
    agent = make_agent(organization)
    credential, _ = make_credential(agent)
    body = f"grant_type=client_credentials&client_id={agent.pk}&client_secret=sk_live_wrong"
    Client().post("/api/v1/token", body, content_type=URLENCODED)

    part = browser.get(f"/agents/{agent.pk}/credentials/{credential.pk}/first-token")

    assert "Wrong secret. Still waiting for the first token." in part.content.decode()
