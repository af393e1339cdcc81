"""`make routes` lists the requirements of every route."""

import subprocess
from io import StringIO

from django.conf import settings
from django.core.management import call_command

from agentidp.devtools.routes import routes


def row_of(method: str, path: str) -> tuple[str, tuple[str, ...] | None]:
    (found,) = [each for each in routes() if (each.method, each.path) == (method, path)]
    return found.role, found.scopes


def test_a_route_has_the_scopes_of_its_view_and_the_least_role_that_holds_them() -> None:
    assert row_of("GET", "/api/v1/agents") == ("viewer", ("agents:read",))
    assert row_of("POST", "/api/v1/agents") == ("admin", ("agents:write",))
    assert row_of("GET", "/audit") == ("operator", ("audit:read",))
    assert row_of("GET", "/docs") == ("viewer", ())
    assert row_of("GET", "/livez") == ("", None)


def test_the_command_lists_them_all() -> None:
    said = StringIO()

    call_command("routes", stdout=said)

    lines = said.getvalue().splitlines()
    assert len(lines) == len(routes())
    (line,) = [each for each in lines if each.split()[:2] == ["POST", "/api/v1/agents"]]
    assert line.split()[2:4] == ["admin", "agents:write"]
    assert line.endswith("agents.api.AgentViewSet.create")


def test_make_lists_every_command_that_the_contributors_page_names() -> None:
    shown = subprocess.run(
        ["make", "--silent", "help"], cwd=settings.BASE_DIR, capture_output=True, text=True
    ).stdout
    page = (settings.BASE_DIR / "CONTRIBUTING.md").read_text()
    listed = {line.split()[0] for line in shown.splitlines()}

    assert {"unit-fast", "psql", "shell", "routes", "demo-reset"} <= listed
    assert [name for name in listed if f"`make {name}" in page]
    for name in ("unit-fast", "unit APP=tokens", "psql", "shell ORG=", "routes", "demo-reset"):
        assert f"`make {name}" in page, name
