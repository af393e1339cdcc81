"""Running the import in tests, and inspecting its effects."""

import hashlib
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command

from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
    ExecutionUser,
)
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

REAL = settings.BASE_DIR / "importers" / "tests" / "data" / "kodosumi-1.1.0" / "data"


def import_folder(folder: Path, organization: Organization, **options: Any) -> str:
    """Run the command; return its output."""
    output = StringIO()
    call_command(
        "import_kodosumi", folder, organization=organization.slug, stdout=output, **options
    )
    return output.getvalue()


def dump(organization: Organization) -> dict[str, list[Any]]:
    """Every row about executions with all columns."""
    models = (ExecutionUser, Execution, ExecutionEvent, ExecutionError, ExecutionFile)
    with organization_scope(organization):
        return {
            model.__name__: list(model.objects.order_by("pk").values_list())
            for model in (*models, DeletedExecution)
        }


def state_of(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything that a reader could change by mistake: names, contents, times, permissions."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (
            *(status.st_mode, status.st_ino, status.st_nlink, status.st_uid, status.st_size),
            *(status.st_mtime_ns, status.st_ctime_ns, content),
        )
    return found


def messages(organization: Organization, fid: str) -> list[tuple[int, str, str]]:
    """Sequence, kind and message of the execution's events."""
    with organization_scope(organization):
        events = ExecutionEvent.objects.filter(execution__fid=fid)
        return [(event.sequence, event.kind, event.message) for event in events]
