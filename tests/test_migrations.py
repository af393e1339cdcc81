"""What a migration did on one server it does on every other one, however the code has changed."""

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from organizations.tenancy.migration_operations import IsolateOrganizations

OURS = {
    config.label: Path(config.path)
    for config in apps.get_app_configs()
    if Path(config.path).parent == settings.BASE_DIR
}
PLACES = {*OURS, "agentidp", "core"}
FROZEN = {
    "core.migration_locks.lock_together",
    "organizations.tenancy.migration_operations.IsolateOrganizations",
}
"""What may be imported: the first leaves nothing behind, and a test below holds the other's
statements."""
FIELD_PARTS = {"core.ids", "agents.models", "executions.models"}
"""Where a field's default or validator lies, as makemigrations writes it."""
MIGRATIONS = sorted(
    file for folder in OURS.values() for file in (folder / "migrations").glob("[0-9]*.py")
)


def imports_of(source: str) -> set[str]:
    """Every module and name that a source imports, `import_module` included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_app_is_looked_at() -> None:
    assert {"organizations", "agents", "tokens", "executions", "analytics"} <= {
        file.parts[-3] for file in MIGRATIONS
    }


@pytest.mark.parametrize("file", MIGRATIONS, ids=lambda file: f"{file.parts[-3]}.{file.stem}")
def test_a_migration_holds_its_own_text(file: Path) -> None:
    """It neither builds its statements from code that may change nor from another migration."""
    imports = imports_of(file.read_text())

    assert not {name for name in imports if name.startswith("importlib")}
    own = {name for name in imports if name.partition(".")[0] in PLACES}
    assert own <= FROZEN | FIELD_PARTS


@pytest.mark.django_db
def test_isolation_is_unchanged_since_its_migration() -> None:
    """IsolateOrganizations is used by migrations that have run: another one needs another name."""
    state = MigrationLoader(None).project_state()
    isolate = IsolateOrganizations("Credential", {"agent": "agents.Agent"})

    with connection.schema_editor(collect_sql=True) as editor:
        isolate.database_forwards("tokens", editor, state, state)
        isolate.database_backwards("tokens", editor, state, state)

    own = "organization_id = NULLIF(current_setting('app.organization_id', true), '')::uuid"
    assert editor.collected_sql == [
        'ALTER TABLE "tokens_credential" ENABLE ROW LEVEL SECURITY;',
        'ALTER TABLE "tokens_credential" FORCE ROW LEVEL SECURITY;',
        f'CREATE POLICY organization_isolation ON "tokens_credential" USING ({own}) '
        f"WITH CHECK ({own});",
        'ALTER TABLE "tokens_credential" ADD CONSTRAINT "tokens_credential_organization_key" '
        "UNIQUE (organization_id, id);",
        'ALTER TABLE "tokens_credential" ADD CONSTRAINT "tokens_credential_agent_organization_fk" '
        'FOREIGN KEY (organization_id, "agent_id") '
        'REFERENCES "agents_agent" (organization_id, id) DEFERRABLE INITIALLY DEFERRED;',
        'ALTER TABLE "tokens_credential" '
        'DROP CONSTRAINT "tokens_credential_agent_organization_fk";',
        'ALTER TABLE "tokens_credential" DROP CONSTRAINT "tokens_credential_organization_key";',
        'DROP POLICY organization_isolation ON "tokens_credential";',
        'ALTER TABLE "tokens_credential" NO FORCE ROW LEVEL SECURITY;',
        'ALTER TABLE "tokens_credential" DISABLE ROW LEVEL SECURITY;',
    ]
