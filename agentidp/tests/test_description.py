"""The OpenAPI document is public, so it must be cheap: generated once, then served as bytes."""

import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import yaml
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from agentidp.description import _described, description
from agentidp.env import BASE_DIR
from core.tests.profiling import calls

JSON_TYPE = "application/vnd.oai.openapi+json"
YAML_TYPE = "application/vnd.oai.openapi"
ACCEPTED = [
    ("*/*", f"{YAML_TYPE}; charset=utf-8"),
    ("application/yaml", "application/yaml; charset=utf-8"),
    (YAML_TYPE, f"{YAML_TYPE}; charset=utf-8"),
    ("application/json", "application/json"),
    ("application/json; indent=8; q=0.9", "application/json"),
    (JSON_TYPE, JSON_TYPE),
    ("image/png", f"{YAML_TYPE}; charset=utf-8"),
]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Counts how often the document is generated, starting without one."""
    makings: list[Any] = []
    make = SchemaGenerator.get_schema

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        makings.append(self)
        return make(self, *args, **kwargs)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)
    _described.cache_clear()
    return makings


@pytest.mark.parametrize(("accept", "content_type"), ACCEPTED)
def test_it_comes_in_the_form_that_the_caller_reads(
    client: Client, accept: str, content_type: str
) -> None:
    answer = client.get("/api/schema", headers={"Accept": accept})

    assert answer["Content-Type"] == content_type
    assert answer["Vary"] == "Accept"
    read = json.loads if "json" in content_type else yaml.safe_load
    assert read(answer.content)["paths"]["/api/v1/agents"]["get"]["operationId"]


def test_it_is_made_once_whatever_callers_ask_for(client: Client, made: list[Any]) -> None:
    for accept, _ in ACCEPTED:
        for query in ("", "?version=7", "?lang=de", "?format=json", "?x=1"):
            client.get(f"/api/schema{query}", headers={"Accept": accept})

    assert len(made) == 2, "once as YAML and once as JSON"
    assert "7" not in client.get("/api/schema?version=7")["Content-Disposition"]


def test_it_is_made_once_for_all_who_ask_at_the_same_time(made: list[Any]) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(description, ["yaml"] * 8))

    assert len(made) == 1
    assert len({each.content for each in found}) == 1


def test_an_unchanged_document_is_answered_with_304(client: Client) -> None:
    first = client.get("/api/schema")
    again = client.get("/api/schema", headers={"If-None-Match": first["ETag"]})
    other = client.get(
        "/api/schema", headers={"If-None-Match": first["ETag"], "Accept": "application/json"}
    )
    head = client.head("/api/schema")

    assert first["Cache-Control"] == "public, max-age=300"
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]
    assert other.status_code == 200
    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == first["ETag"]


def test_asking_costs_about_what_the_least_answer_costs(client: Client) -> None:
    for path in ("/api/schema", "/livez"):
        client.get(path)

    assert calls(partial(client.get, "/api/schema")) < 3 * calls(partial(client.get, "/livez"))


def test_everything_that_names_the_license_names_the_same_one() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]
    package = json.loads((BASE_DIR / "package.json").read_text())
    info = yaml.safe_load(description("yaml").content)["info"]
    text = (BASE_DIR / "LICENSE").read_text()

    assert text.startswith(info["license"]["name"] + "\n")
    assert info["license"]["url"] == "https://opensource.org/license/mit"
    assert project["license"] == package["license"] == "MIT"
    assert project["license-files"] == ["LICENSE"]
    for page in ("README.md", "CONTRIBUTING.md", "docs/README.md"):
        assert "LICENSE)" in (BASE_DIR / page).read_text(), page
