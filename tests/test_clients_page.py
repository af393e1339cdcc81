"""The documentation's page on clients lists what `make clients` tests, in the same versions."""

from agentidp.env import BASE_DIR
from tests.clients.catalog import CLIENTS
from tests.clients.environments import LIVE, PROGRAMS


def test_the_page_names_every_client_that_is_tried_and_no_other() -> None:
    page = (BASE_DIR / "docs" / "reference" / "clients.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]

    assert rows == [f"| {each.name} | {each.version} | {each.does} |" for each in CLIENTS]


def test_every_client_has_its_program_and_every_program_its_client() -> None:
    programs = {each.program for each in CLIENTS}

    here = {path.name for path in PROGRAMS.iterdir() if path.suffix in {".py", ".mjs"}}
    assert here <= programs
    assert all((LIVE / name).is_file() for name in programs - here)
