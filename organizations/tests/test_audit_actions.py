"""The names of audit actions are defined only in AuditAction."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from agentidp.env import BASE_DIR
from organizations.audit.actions import AuditAction

PROJECT = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["importlinter"]["root_packages"]
HOME = BASE_DIR / "organizations" / "audit" / "actions.py"
LOGGED = {("tokens/management/commands/rotate_signing_key.py", "signing_key.rotated")}
"""Server log events with the same name as an audit action, which the system organization's audit
log records too."""


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        for path in (BASE_DIR / package).rglob("*.py"):
            is_example = path.name.endswith("examples.py")  # examples in the OpenAPI document
            if path != HOME and not is_example and not {"tests", "migrations"} & set(path.parts):
                yield path


def test_nothing_writes_the_name_of_an_action_as_a_text() -> None:
    names = set(AuditAction)
    found = {
        (str(path.relative_to(BASE_DIR)), node.value)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    }

    assert found == LOGGED


def test_no_caller_makes_up_an_action() -> None:
    """A string in place of an AuditAction, literal or composed, would fail only at runtime."""
    made_up = [
        f"{path.relative_to(BASE_DIR)}:{call.lineno}"
        for path in sources()
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in {"record_event", "log.record_event"}
        and call.args
        and isinstance(call.args[0], (ast.Constant, ast.JoinedStr, ast.BinOp))
    ]

    assert made_up == []


def test_every_action_is_written_by_something() -> None:
    text = "\n".join(path.read_text() for path in sources())

    assert [each for each in AuditAction if f"AuditAction.{each.name}" not in text] == []
