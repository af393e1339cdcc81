"""The documents' links and file names exist, and every room has a line."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from django.core.management import get_commands

from agentidp.env import BASE_DIR

DOCUMENTS = sorted(
    [*BASE_DIR.glob("*.md"), *BASE_DIR.glob("docs/**/*.md"), BASE_DIR / "benchmarks" / "README.md"]
)
MAPS = ("ARCHITECTURE.md", "CONTRIBUTING.md")
"""Documents in which anything with a slash is a file or folder."""
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MADE_LATER = {"node_modules", "staticfiles"}


def links(document: Path) -> Iterator[str]:
    """The targets of the document's links, except links to other sites and those in code blocks."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", lambda found: "`" if "](" in found[0] else found[0], text)
    for target in LINK.findall(text):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(document: Path) -> set[str]:
    """The anchors of the document's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ +(.+)$", document.read_text(), flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in plain}


def test_every_link_of_a_document_leads_somewhere() -> None:
    dead = []
    for document in DOCUMENTS:
        for link in links(document):
            path, _, anchor = link.partition("#")
            target = (document.parent / path) if path else document
            if not target.exists():
                dead.append(f"{document.relative_to(BASE_DIR)}: {link}")
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                dead.append(f"{document.relative_to(BASE_DIR)}: no heading for {link}")

    assert dead == []


def paths_in(document: Path) -> Iterator[Path]:
    """Files and folders in code spans; in a row about a room they may be relative to it."""
    for line in document.read_text().splitlines():
        room = re.match(r"\| `([\w/]+)`", line)
        for path in re.findall(r"`([\w.\-]+/[\w./\-]*)`", line):
            inside = BASE_DIR / room[1] / path if room else BASE_DIR / path
            if path.startswith((".", "agentidp/files")):
                continue  # created when needed
            if document.name in MAPS or (BASE_DIR / path.split("/")[0]).is_dir():
                yield inside if inside.exists() else BASE_DIR / path


def test_documents_name_files_that_exist() -> None:
    missing = {
        f"{document.relative_to(BASE_DIR)}: {path.relative_to(BASE_DIR)}"
        for document in DOCUMENTS
        for path in paths_in(document)
        if not path.exists()
    }

    assert missing == set()


KINDS = "py|html|js|css|sql|md|toml|yaml|conf|sh"
NOT_HERE = re.compile(r"\.data/|data/|agentidp/files")
"""Folders that are created when needed, or belong to others."""


def test_every_file_that_a_document_names_is_somewhere() -> None:
    """A path may begin below the folder that the sentence is about: `layouts/app.html`."""
    known = [
        path.as_posix()
        for top in BASE_DIR.iterdir()
        if top.name[0] != "." and top.name not in MADE_LATER
        for path in (top.rglob("*.*") if top.is_dir() else [top])
    ]
    missing = {
        f"{document.relative_to(BASE_DIR)}: {path}"
        for document in DOCUMENTS
        for path in re.findall(rf"`([\w\-]+/[\w./\-]+\.(?:{KINDS}))`", document.read_text())
        if not NOT_HERE.match(path) and not any(one.endswith(f"/{path}") for one in known)
    }

    assert missing == set()


def test_documents_name_commands_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    missing = set()
    for document in DOCUMENTS:
        text = document.read_text()
        made = re.findall(r"(?:`|^ *)make ([a-z][a-z-]+)", text, re.MULTILINE)
        managed = re.findall(r"manage\.py ([a-z]\w+)", text)
        unknown = {*made} - targets | {*managed} - get_commands().keys()
        missing |= {f"{document.relative_to(BASE_DIR)}: {name}" for name in unknown}

    assert missing == set()


def test_every_room_has_a_line_on_the_map() -> None:
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())
    packages = project["tool"]["importlinter"]["root_packages"]
    lines = (BASE_DIR / "ARCHITECTURE.md").read_text().splitlines()
    rows = " ".join(line.split("|")[1] for line in lines if line.startswith("| `"))

    rooms = {*packages, *(path.parent.name for path in BASE_DIR.glob("*/__init__.py"))}

    assert {room for room in rooms - MADE_LATER if f"`{room}/`" not in rows} == set()


def promises() -> list[list[str]]:
    """The rows of the list of promises: number, promise, figure or means, and proof."""
    page = (BASE_DIR / "docs" / "reference" / "promises.md").read_text()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if re.match(r"\| \d", line)
    ]


def test_every_promise_names_tests_that_exist() -> None:
    missing = []
    for number, _, _, proof in promises():
        named = re.findall(r"`([\w/]+)(\.py::\w+|\.py|/)`", proof)
        if not named:
            missing.append(f"{number} names no test")
        for path, rest in named:
            suffix, _, function = rest.partition("::")
            file = BASE_DIR / f"{path}{suffix}"
            is_there = file.exists() and (not function or f"def {function}(" in file.read_text())
            if not is_there:
                missing.append(f"{number}: {path}{rest}")

    assert missing == []


def test_promises_are_numbered_in_order() -> None:
    assert [row[0] for row in promises()] == [str(each + 1) for each in range(len(promises()))]
