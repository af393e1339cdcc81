#!/usr/bin/env python3
"""Django's command line. Without DATABASE_URL, it keeps the project's own PostgreSQL running."""

import contextlib
import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must find a sentence here.
    sys.exit("AgentIdP needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

LOCK_NOT_AVAILABLE = "55P03"
AGAIN = "Run the command again when the backup or long transaction that holds a lock has ended."
WITHOUT_DATABASE = {"help", "version", "collectstatic", "diffsettings", "startapp"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    if command == "demo":
        # Before the settings are read. A demo is never production, whatever database it uses.
        os.environ.update(AGENTIDP_DEMO="1", AGENTIDP_ENVIRONMENT="development")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError

        from agentidp.devtools.postgres_binaries import EmbeddedPostgresError
    except ImportError as error:
        sys.exit(str(error) + ". Install the packages first: make install")
    try:
        with database_for(command):
            execute_from_command_line(sys.argv)
    except (EmbeddedPostgresError, ImproperlyConfigured) as error:
        sys.exit(str(error))
    except OperationalError as error:
        if is_lock_timeout(error):
            reason = str(error).partition("\n")[0].rstrip(".")
            sys.exit(f"The database is in use ({reason}). {AGAIN}")
        if getattr(error.__cause__, "sqlstate", ""):  # the server's own answer to a statement
            raise
        sys.exit(f"The database cannot be reached: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        sys.exit(130)


def is_lock_timeout(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "sqlstate", "") == LOCK_NOT_AVAILABLE:
            return True
        error = error.__cause__
    return False


def database_for(command: str) -> contextlib.AbstractContextManager[object]:
    """A context in which the embedded server runs, if the settings and the command use it."""
    from django.conf import settings

    from agentidp.devtools import embedded_postgres

    if command in WITHOUT_DATABASE or command.startswith("-") or {"-h", "--help"} & set(sys.argv):
        return contextlib.nullcontext()
    host = settings.DATABASES["default"].get("OPTIONS", {}).get("host")
    if host == str(embedded_postgres.socket_folder(embedded_postgres.DATA_FOLDER)):
        os.environ["PGHOST"] = host  # dbshell does not pass psql a host from OPTIONS
        return embedded_postgres.running()
    return contextlib.nullcontext()


if __name__ == "__main__":
    main()
