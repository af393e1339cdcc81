"""Every migration can run while the release before it still serves."""

from pathlib import Path

import pytest
from django.apps import apps
from django_migration_linter import MigrationLinter

from agentidp.env import BASE_DIR


@pytest.mark.django_db
def test_no_migration_breaks_a_running_release():
    ours = [app.label for app in apps.get_app_configs() if Path(app.path).parent == BASE_DIR]
    linter = MigrationLinter(
        include_apps=ours,
        ignore_name=[
            "0002_isolation",  # It ran on empty tables, before the first release.
            "0007_isolate_resources",  # On the empty tables that 0006 makes.
            "0016_searchable",  # Only the way back drops columns: those that it adds.
            "0007_one_proven_account",  # Less than the release before already demands.
        ],
        no_cache=True,
        quiet=["ok", "ignore"],
    )

    linter.lint_all_migrations()

    assert linter.nb_total >= 7
    assert not linter.has_errors
