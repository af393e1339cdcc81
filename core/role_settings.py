"""Finds settings that PostgreSQL applies to every new connection of the application's role.

A role may give itself settings for good, so that one statement can make every later connection read
only, or enter an organization that no code has chosen. The owner and administrators may as well.
"""

import re
from typing import Any

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from core.table_protection import Problem

HARMLESS = re.compile(
    r"application_name|client_encoding|timezone|lock_timeout"  # each connection has its own
    r"|log_\w+|auto_explain\.\w+|pg_stat_statements\.\w+|pgaudit\.\w+"
    r"|(hash_mem_multiplier|work_mem|maintenance_work_mem|effective_cache_size|jit\w*)"
    r"|(random|seq)_page_cost|effective_io_concurrency|maintenance_io_concurrency",
    re.IGNORECASE,
)
"""What an administrator may set for this role: what is logged, memory, and costs of plans."""
FOUND = """
    SELECT rolname, datname, split_part(setting, '=', 1)
    FROM pg_db_role_setting
    LEFT JOIN pg_roles r ON r.oid = setrole LEFT JOIN pg_database d ON d.oid = setdatabase,
        unnest(setconfig) setting
    WHERE (setrole = 0 OR rolname = %s) AND (setdatabase = 0 OR datname = current_database())
    ORDER BY 1, 2, 3
"""


def kept_settings(cursor: CursorWrapper) -> list[Problem]:
    """The settings of the application's role or its database that are not known to be harmless."""
    cursor.execute(FOUND, [settings.DATABASE_ROLE])
    return [_problem(*row) for row in cursor.fetchall() if not HARMLESS.fullmatch(row[2])]


def _problem(role: str | None, database: str | None, name: str) -> Problem:
    where = f'ROLE "{role}"' if role else "ROLE ALL"
    if database:
        where = f'{where} IN DATABASE "{database}"' if role else f'DATABASE "{database}"'
    owner = f"role {role}" if role else f"database {database}" if database else "database server"
    if role and database:
        owner += f" in the database {database}"
    return Problem(
        f"The {owner} has the setting {name}, which changes how statements work",
        how="Let a database administrator run: SET default_transaction_read_only = off; "
        f"ALTER {where} RESET {_quoted(name)}",
    )


def _quoted(name: str) -> Any:
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))
