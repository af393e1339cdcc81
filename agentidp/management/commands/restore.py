from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from agentidp import restore
from agentidp.backup import one_sentence, some_of
from core.database_roles import as_owner
from core.formatting import counted
from core.protection import in_one_line, unprotected


class Command(BaseCommand):
    help = (
        "Restore a backup into an empty database and storage as the owner "
        "(AGENTIDP_DATABASE_OWNER_URL), migrate it, and verify its audit logs."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--incomplete",
            action="store_true",
            help="Restore a backup that lacks files as well, without them.",
        )

    def handle(self, *, folder: Path, incomplete: bool, **options: Any) -> None:
        with one_sentence():
            with as_owner(connection):
                manifest = restore.require_restorable(folder, incomplete=incomplete)
            self.say(f"A backup of {manifest['issuer']}, {manifest['createdAt']}.")
            # The database is restored last and in one transaction, so that an interrupted restore
            # can be repeated.
            self.say(f"Restored: {counted(restore.restore_files(folder), 'files')}.")
            restore.restore_database(folder)
            self.say("The database is restored. Migrating ...")
            call_command("migrate", verbosity=0)
            with connection.cursor() as cursor:
                if problems := unprotected(cursor):
                    raise CommandError(in_one_line(problems))
            if broken := restore.broken_audit_logs(manifest):
                raise CommandError(" ".join(broken))
        intact = counted(len(manifest["auditHeads"]), "audit logs")
        if deleted := manifest["deletedFiles"]:
            self.say(f"Deleted while the backup was made: {some_of(deleted)}.")
        if missing := manifest["missingFiles"]:
            self.say(f"Incomplete: {intact}, intact, but without {some_of(missing)}.")
            return
        self.say(f"Verified: {intact}, intact. Start the servers.")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
