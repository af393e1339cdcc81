"""Values that the documentation asks readers to fill in or look up exist."""

import re

from agentidp.env import BASE_DIR
from analytics.findings.codes import CODES
from organizations.actors import SCOPES_OF_ROLE
from pages.agents.forms import AgentForm

DOCS = BASE_DIR / "docs"


def test_the_tutorial_names_every_field_that_registering_an_agent_needs() -> None:
    tutorial = (DOCS / "tutorial.md").read_text()
    step = re.search(r"^## 5\. Register.*?(?=^## )", tutorial, re.MULTILINE | re.DOTALL)
    needed = {
        str(field.label or name).lower()
        for name, field in AgentForm.base_fields.items()
        if field.required
    }

    assert step
    assert {label for label in needed if label not in step[0].lower()} == set()


def test_the_page_about_findings_explains_every_code_and_no_other() -> None:
    page = (DOCS / "how-to" / "look-into-a-finding.md").read_text()

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(CODES)


def test_the_page_about_scopes_names_those_of_each_role() -> None:
    page = (DOCS / "reference" / "scopes.md").read_text()
    named: dict[str, set[str]] = {"viewer": set(), "operator": set(), "admin": set()}
    for cells in re.findall(r"^\| (`.*`) \| .* \| (.*) ?\| (.*) ?\| (.*) \|$", page, re.MULTILINE):
        scopes = re.findall(r"`([\w:]+)`", cells[0])
        for role, cell in zip(named, map(str.strip, cells[1:]), strict=True):
            assert cell in {"", "yes", "read"}
            named[role] |= {each for each in scopes if cell == "yes" or cell == each[-4:]}

    assert named == {role: SCOPES_OF_ROLE[role] for role in named}
    assert SCOPES_OF_ROLE["owner"] == SCOPES_OF_ROLE["admin"]
