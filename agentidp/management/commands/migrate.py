from contextlib import suppress
from typing import Any

from django.core.management.commands import migrate
from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from agentidp.checks import newer_migrations, unapplied_migrations
from core.database_roles import as_owner
from core.function_protection import changed
from core.partitions import IS_THERE, make_partitions
from core.role_grants import (
    grant_declared,
    grant_during_migration,
    isolate_owner,
    require_ownership,
)
from core.table_protection import Problem, undeclared_triggers, unprotected


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
            problems = unprotected(cursor)
            if not newer_migrations():  # whose objects this release does not know
                problems += [*undeclared_triggers(cursor), *changed(cursor)]
            for problem in problems:
                word = "Mended" if self.is_mended(problem) else "Not mended"
                self.stderr.write(f"{word}: {problem.sentence}.")

    def is_mended(self, problem: Problem) -> bool:
        """Run the statements that mend the problem. False if there are none, or they cannot."""
        try:
            with transaction.atomic(), transaction.get_connection().cursor() as cursor:
                for statement in problem.mend:
                    cursor.execute(statement)
        except DatabaseError:
            return False
        return bool(problem.mend)

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
