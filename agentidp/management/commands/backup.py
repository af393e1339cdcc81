from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentidp import backup
from core.formatting import counted


class Command(BaseCommand):
    help = (
        "Write the database (as AGENTIDP_DATABASE_BACKUP_URL) and the files of executions to "
        "a new folder. AgentIdP keeps running meanwhile. The server's secrets are not "
        "included."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *, folder: Path, **options: Any) -> None:
        with backup.one_sentence():
            manifest = backup.back_up(folder)
        if deleted := manifest["deletedFiles"]:
            self.stderr.write(f"Deleted while the backup was made: {backup.some_of(deleted)}.")
        if missing := manifest["missingFiles"]:
            raise CommandError(
                f"{folder} is incomplete: the storage does not have {backup.some_of(missing)}, "
                "which rows of the database name. Is its folder mounted, or its bucket the right "
                "one?"
            )
        self.stdout.write(
            f"{folder}: the database, {counted(len(manifest['auditHeads']), 'audit logs')}, "
            f"{counted(manifest['files'], 'files')}. Keep AGENTIDP_SECRET_PEPPER and "
            "AGENTIDP_KEY_ENCRYPTION_KEY as well, in another place: they are not in it."
        )
