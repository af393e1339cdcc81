"""No right depends on a time that a process dates by its own clock, which may be wrong."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

APPS = ("agents", "organizations", "tokens")
ALLOWED = {
    # A fact: whether there is a time at all decides.
    "agents/actions.py decommissioned_at": "shown; the status decides",
    "organizations/actions/invitations.py revoked_at": "any time ends it",
    "organizations/actions/invitations.py accepted_at": "any time ends it",
    "organizations/models/invitation.py revoked_at": "any time ends it",
    "organizations/actions/accounts.py email_verified_at": "any time proves it",
    "organizations/actions/invitations.py email_verified_at": "any time proves it",
    "organizations/management/commands/create_organization.py email_verified_at": "the same",
    "organizations/models/people.py email_verified_at": "the same",
    # A record, which ends nothing.
    "organizations/audit/log.py occurred_at": "the audit log, ordered by its chain",
    "organizations/audit/log.py checked_at": "when the chain was checked",
    "organizations/models/scoped.py created_at": "shown; actions give what is compared",
    "organizations/models/organization.py created_at": "shown; actions give what is compared",
    "organizations/models/people.py created_at": "shown",
    "tokens/models/event.py created_at": "shown; the database dates those of tokens",
    "tokens/models/session.py created_at": "log_in() gives the database's",
    "tokens/models/key.py created_at": "shown; rotations give the database's",
    "tokens/models/key.py since": "known_secrets.py gives the database's",
    "tokens/actions/existing_tokens.py _count_introspection": "the minute of a shared record",
    # Shown, or asked of what a person typed.
    "tokens/models/credential.py live_old_secrets": "which secrets a page shows",
    "tokens/serializers.py Compare": "an expiry that the caller chooses",
}
"""Where a process's own clock gives a time, and why nobody's right depends on it."""


def uses(path: Path) -> Iterator[str]:
    """What each `timezone.now` in the file is for: the name of what is set, called or compared."""
    tree = ast.parse(path.read_text())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "timezone.now":
            yield purpose(node, parents)


def purpose(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    child = node
    while child in parents:
        parent = parents[child]
        if isinstance(parent, ast.keyword) and parent.arg not in {None, "default"}:
            return str(parent.arg)
        if isinstance(parent, ast.Assign):
            return ast.unparse(parent.targets[0]).rpartition(".")[2]
        if isinstance(parent, ast.Dict):
            return str(ast.literal_eval(parent.keys[parent.values.index(child)]))  # type: ignore
        if isinstance(parent, ast.Compare):
            return "Compare"
        if isinstance(parent, ast.Call) and child in parent.args:
            return ast.unparse(parent.func).rpartition(".")[2]
        child = parent
    return "?"


def test_a_process_dates_only_what_ends_nothing_by_its_own_clock() -> None:
    found = {
        f"{path.relative_to(settings.BASE_DIR)} {name}"
        for app in APPS
        for path in (settings.BASE_DIR / app).rglob("*.py")
        if not {"tests", "migrations"} & set(path.parts)
        for name in uses(path)
    }

    assert found == set(ALLOWED)
