from contextlib import suppress
from typing import Any

from django.core.management.commands import migrate
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from agentidp.checks import unapplied_migrations
from core.database_roles import as_owner
from core.partitions import IS_THERE, make_partitions
from core.role_grants import (
    grant_declared,
    grant_during_migration,
    isolate_owner,
    require_ownership,
)
from core.table_protection import unprotected


class Command(migrate.Command):
    help = (
        "Migrate the schema as its owner (AGENTIDP_DATABASE_OWNER_URL), then grant the "
        "application's role exactly the privileges that it needs."
    )

    def get_check_kwargs(self, options: Any) -> Any:
        """Skip database checks, which handle() runs as the owner: before the first migration the
        application's role may lack privileges."""
        return super().get_check_kwargs(options) | {"databases": None}

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with as_owner(connection):
            if not options["skip_checks"]:
                self.check(databases=[options["database"]])
            require_ownership(connection)
            grant_during_migration(connection)
            try:
                super().handle(*args, **options)
            except BaseException:
                # Servers run on, so what was created until then must not stay open to their role.
                with suppress(Exception):  # the error that came first is the one to report
                    connection.rollback()
                    isolate_owner(connection)
                    grant_declared(connection)
                raise
            isolate_owner(connection)
            self.protect(connection)
            self.make_partitions(connection)
            grant_declared(connection)

    def protect(self, connection: BaseDatabaseWrapper) -> None:
        """Switch on again what somebody, or a restored backup, has switched off."""
        if unapplied_migrations():
            return
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for problem in unprotected(cursor):
                for statement in problem.mend:
                    cursor.execute(statement)
                word = "Mended" if problem.mend else "Not mended"
                self.stderr.write(f"{word}: {problem.sentence}.")

    def make_partitions(self, connection: BaseDatabaseWrapper) -> None:
        """Make the partitions of the next months, so that a deployment has them from the start."""
        with connection.cursor() as cursor:
            cursor.execute(IS_THERE)
            if not cursor.fetchone()[0]:  # after a migration backwards
                return
            try:
                with transaction.atomic(using=connection.alias):
                    make_partitions(cursor)
            except OperationalError:
                self.stderr.write("A table is in use: the worker makes its next partitions.")
