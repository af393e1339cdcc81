"""All that must hold in the database for organizations and records to be protected."""

from django.db.backends.utils import CursorWrapper

from core import function_protection, table_protection
from core.role_settings import kept_settings
from core.table_protection import Problem, in_one_line

__all__ = ["Problem", "in_one_line", "unprotected", "unprotected_meanwhile"]


def unprotected(cursor: CursorWrapper) -> list[Problem]:
    """What is not as this release declares it. All migrations are applied, and no newer ones."""
    return [
        *unprotected_meanwhile(cursor),
        *table_protection.undeclared_triggers(cursor),
        *function_protection.changed(cursor),
        *function_protection.open_functions(cursor),
    ]


def unprotected_meanwhile(cursor: CursorWrapper) -> list[Problem]:
    """The part of it that holds for a running server of an earlier release as well: an upgrade
    replaces functions and adds triggers before it restarts servers."""
    return [*kept_settings(cursor), *table_protection.unprotected(cursor)]
