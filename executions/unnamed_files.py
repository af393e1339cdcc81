"""Files of executions that no row names.

A file is saved before its row. A process that ends in between, or a commit that fails, leaves a
file that no quota counts and nobody can delete; the worker finds it at night.

Only files that this database made are removed (file_names.py): another one may have rows for the
others. The log says how many there are.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.core.files.storage import default_storage

from core.database_clock import database_time
from executions.file_names import is_made_by, maker
from executions.file_storage import execution_files, remove_file
from executions.models import Execution, ExecutionFile
from executions.retention import BATCH, batched
from organizations.models import Organization
from organizations.tenancy.every import in_every_organization
from organizations.tenancy.scope import organization_scope

logger = structlog.get_logger(__name__)

AGE = timedelta(days=1)
"""Longer than it takes to save a file and commit its row."""
MAX_REMOVED = 10_000
"""For each organization and night."""
REMOVED_AT_ONCE = 20
"""While the execution is locked, and its agent may have to wait."""


def remove_unnamed_files(*, age: timedelta = AGE, batch: int = BATCH) -> int:
    """Delete files of executions that this database made, that no row names and that are older than
    `age`; return how many.
    """

    def remove(organization: Organization) -> int:
        before, mark = database_time() - age, maker()
        found = execution_files(organization.pk)
        old = ((key, file.name) for key, file in found if file.changed_at < before)
        removed, foreign, example = 0, 0, ""
        for files in batched(old, batch):
            for key, names in _unnamed(organization, files).items():
                own = [name for name in names if is_made_by(mark, name)]
                for some in batched(own, REMOVED_AT_ONCE):
                    removed += _remove(organization, key, some, before)
                if len(own) < len(names):
                    foreign += len(names) - len(own)
                    example = min(set(names) - set(own))
            if removed >= MAX_REMOVED:
                break
        if foreign:
            logger.info("files.of_no_row", number=foreign, example=example)
        return removed

    return in_every_organization(remove)


def _unnamed(organization: Organization, files: list[tuple[UUID, str]]) -> dict[UUID, list[str]]:
    """The names of those files that no row names, by their executions."""
    with organization_scope(organization):
        named = _named(organization, {key for key, _ in files}, [name for _, name in files])
    unnamed = defaultdict(list)
    for key, name in files:
        if name not in named:
            unnamed[key].append(name)
    return unnamed


def _named(organization: Organization, keys: Iterable[UUID], names: list[str]) -> set[str]:
    rows = ExecutionFile.objects.for_organization(organization)
    found = rows.filter(execution_id__in=keys, content__in=names)
    return set(found.values_list("content", flat=True))


def _remove(
    organization: Organization, execution_id: UUID, names: list[str], before: datetime
) -> int:
    with organization_scope(organization):
        # Whoever completes an upload holds this lock from before the file is saved.
        rows = Execution.objects.for_organization(organization).filter(pk=execution_id)
        if not rows.select_for_update(skip_locked=True).values_list("pk").first():
            return 0  # The execution is deleted, or in use.
        unnamed = set(names) - _named(organization, [execution_id], names)
        return sum(_remove_old(name, before) for name in unnamed)


def _remove_old(name: str, before: datetime) -> bool:
    """Remove the file unless an import has saved it anew, under the same name."""
    try:
        is_old = default_storage.get_modified_time(name) < before
    except FileNotFoundError:
        return False
    if is_old:
        remove_file(name)
    return is_old
