"""The programs that a page says it needs are those that its commands use."""

import re
import textwrap

import pytest

from agentidp.devtools.bootstrap import MIN_PYTHON
from agentidp.env import BASE_DIR

FENCED = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
NEEDS = re.compile(r"^[^\n]*You need .*?(?=^$)", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
PROGRAM = re.compile(r"(?:^|[|;&]|\$\()[ ]*([a-z][\w.-]*)", re.MULTILINE)
NAMES = {"python3": "Python", "make": "make", "curl": "curl", "jq": "jq"}
"""What a page calls each program."""


def programs(page: str) -> set[str]:
    """The programs that the page's commands start, and Python if one of them is make."""
    blocks = FENCED.findall(page) if "```" in page else INDENTED.findall(page)
    commands = "\n".join(map(textwrap.dedent, blocks))
    commands = QUOTED.sub("''", commands.replace("\\\n", " "))
    found = set(PROGRAM.findall(commands))
    return found | ({"python3"} if "make" in found else set())


@pytest.mark.parametrize("name", ["README.md", "docs/tutorial.md"])
def test_a_page_names_the_programs_that_its_commands_use(name: str) -> None:
    page = (BASE_DIR / name).read_text()

    needs = NEEDS.search(page)

    assert needs
    assert programs(page) - NAMES.keys() == set()
    assert {NAMES[each] for each in programs(page)} == {
        each for each in NAMES.values() if re.search(rf"\b{each}\b", needs[0])
    }
    assert f"Python {'.'.join(map(str, MIN_PYTHON))} or newer" in needs[0]
