"""Finds where the database no longer enforces what the migrations declare, and mends it.

Row-level security and triggers can be switched off by a database administrator or by the content of
a backup. The application's role cannot do it, and would not notice.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db.backends.utils import CursorWrapper

from core import declared_triggers, package_objects
from core.database_roles import (
    ENTERED,
    NOT_OF_EXTENSIONS,
    OWNER_POLICY,
    OWNER_POLICY_TABLES,
    READ_BEFORE_THE_TENANT,
)
from core.sql_words import words

ISOLATION = "organization_isolation"
OWN = "organization_id = NULLIF(current_setting('app.organization_id', true), '')::uuid"
"""The condition that IsolateOrganizations writes."""
SHOWN_OWN = (
    "(organization_id = (NULLIF(current_setting('app.organization_id'::text, true), "
    "''::text))::uuid)"
)
SHOWN_ENTERED = (
    "(organization_id = ANY (( SELECT (NULLIF(current_setting('app.organization_ids'::text, true), "
    "''::text))::uuid[])::uuid[]))"
)
"""The conditions as PostgreSQL shows them, apart from the name that it gives the column."""
COLUMN_NAME = ' AS "nullif"'
RECREATE = "DROP POLICY IF EXISTS {name} ON {table}; CREATE POLICY {name} ON {table}"

TABLES = f"""
    SELECT c.oid::regclass::text, relname, relrowsecurity AND relforcerowsecurity,
        coalesce((SELECT json_agg(json_build_array(
            polname, polpermissive, polcmd, polroles = '{{0}}', polroles = ARRAY[relowner],
            pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) ORDER BY polname)
            FROM pg_policy WHERE polrelid = c.oid), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_attribute ON attrelid = c.oid AND attname = 'organization_id' AND NOT attisdropped
    WHERE relkind IN ('r', 'p') AND relname <> ALL (%s)
    AND {NOT_OF_EXTENSIONS.format(oid="c.oid", catalog="pg_class")} ORDER BY 1
"""
RULES = f"""
    SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid)
    AND {NOT_OF_EXTENSIONS.format(oid="c.oid", catalog="pg_class")} ORDER BY 1
"""
FOUND_TRIGGERS = f"""
    SELECT c.oid::regclass::text, tgname, quote_ident(tgname), tgenabled::text,
        substring(pg_get_triggerdef(t.oid) FROM 'TRIGGER (?:"(?:[^"]|"")+"|\\S+) (.*)'),
        current_setting('session_replication_role') = 'replica'
    FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE NOT tgisinternal AND tgparentid = 0
    AND {NOT_OF_EXTENSIONS.format(oid="c.oid", catalog="pg_class")} ORDER BY 1, 2
"""
ROW = re.compile(r"\b(old|new)\.", re.IGNORECASE)
SWITCHED_OFF_IN_A_PARTITION = """
    SELECT c.oid::regclass::text, relname, tgname FROM pg_trigger t
    JOIN pg_class c ON c.oid = tgrelid
    WHERE tgparentid <> 0 AND NOT tgisinternal AND tgenabled NOT IN ('O', 'A')
    ORDER BY relname, tgname
"""
"""Triggers for each row are copied to every partition. The copies cannot be dropped."""


class Problem(NamedTuple):
    """A sentence without its full stop, and the statements by which the owner mends it."""

    sentence: str
    mend: tuple[str, ...] = ()
    how: str = ""
    """What mends it instead, as a sentence without its full stop."""

    @property
    def advice(self) -> str:
        if self.how:
            return self.how
        if self.mend:
            return "Run: python manage.py migrate"
        return "Let a database administrator undo that."


class _Found(NamedTuple):
    """A trigger that is not a partition's copy of its parent's."""

    table: str
    """Quoted where SQL needs it, and with its schema where that is another."""
    name: str
    quoted: str
    state: str
    definition: str
    is_replica: bool


def unprotected(cursor: CursorWrapper) -> list[Problem]:
    """What does not protect organizations and records as declared. All migrations are applied."""
    cursor.execute(TABLES, [list(READ_BEFORE_THE_TENANT)])
    problems = [each for row in cursor.fetchall() for each in _of_table(*row)]
    cursor.execute(RULES)
    problems += [
        Problem(f"The table {table} has a rule, which changes what statements do")
        for (table,) in cursor.fetchall()
    ]
    problems += _of_triggers(_triggers(cursor))
    cursor.execute(SWITCHED_OFF_IN_A_PARTITION)
    return [*problems, *(_switched_off(*row) for row in cursor.fetchall())]


def undeclared_triggers(cursor: CursorWrapper) -> list[Problem]:
    """Triggers that neither this release nor a package declares."""
    known = {(table, name) for table, name, _ in declared_triggers.declared()}
    others = [each for each in _triggers(cursor) if (each.table, each.name) not in known]
    return [problem for found in others for problem in _undeclared(found)]


def _undeclared(found: _Found) -> Iterator[Problem]:
    there = f"The table {found.table} has"
    if (of_package := package_objects.triggers().get(found.name)) is None:
        drop = f"DROP TRIGGER {found.quoted} ON {found.table}"
        yield Problem(f"{there} a trigger {found.name}, which is not declared", (drop,))
    elif _words(found.definition) != _words(of_package):
        yield Problem(f"{there} another trigger {found.name} than its package")
    elif found.state not in "OA":
        yield _switched_off(found.table, found.table, found.name)


def in_one_line(problems: list[Problem]) -> str:
    more = f" ({len(problems)} such problems)" if problems[1:] else ""
    return f"{problems[0].sentence}{more}. {problems[0].advice}"


def _of_table(table: str, name: str, is_closed: bool, policies: list[Any]) -> Iterator[Problem]:
    """`table` is quoted where SQL needs it."""
    if not is_closed:
        yield Problem(
            f"The table {name} shows every organization's rows",
            tuple(f"ALTER TABLE {table} {word} ROW LEVEL SECURITY" for word in ("ENABLE", "FORCE")),
        )
    found = {policy: [*rest, _shown(using), check] for policy, *rest, using, check in policies}
    own = [True, "*", True, False, SHOWN_OWN, SHOWN_OWN]
    again = RECREATE.format(name=ISOLATION, table=table)
    create = (f"{again} USING ({OWN}) WITH CHECK ({OWN})",)
    if (there := found.pop(ISOLATION, None)) is None:
        yield Problem(f"The table {name} has no policy {ISOLATION}", create)
    elif there != own:
        yield Problem(f"The table {name} has another policy {ISOLATION} than declared", create)
    if name in OWNER_POLICY_TABLES:
        again = RECREATE.format(name=OWNER_POLICY, table=table)
        create = (f"{again} TO CURRENT_USER USING ({ENTERED})",)
        there = found.pop(OWNER_POLICY, None)
        if there is None or not there[3]:
            yield Problem(f"The table {name} has no policy {OWNER_POLICY} for its owner", create)
        elif there != [True, "*", False, True, SHOWN_ENTERED, None]:
            sentence = f"The table {name} has another policy {OWNER_POLICY} than declared"
            yield Problem(sentence, create)
    for other in found:
        quoted = '"' + other.replace('"', '""') + '"'
        yield Problem(
            f"The table {name} has a policy {other}, which is not declared",
            (f"DROP POLICY {quoted} ON {table}",),
        )


def _shown(condition: str | None) -> str | None:
    return condition and condition.replace(COLUMN_NAME, "")


def _triggers(cursor: CursorWrapper) -> list[_Found]:
    cursor.execute(FOUND_TRIGGERS)
    return [_Found(*row) for row in cursor.fetchall()]


def _words(definition: str) -> list[str]:
    """Its words, with those that say which of the two rows is meant."""
    return words(ROW.sub(r"\1 ", definition))


def _of_triggers(rows: list[_Found]) -> Iterator[Problem]:
    if any(each.is_replica for each in rows):
        yield Problem("The setting session_replication_role switches all triggers off")
    by_name = {(each.table, each.name): each for each in rows}
    for table, name, definition in declared_triggers.declared():
        found = by_name.get((table, name))
        if found is None:
            yield Problem(f"The table {table} has no trigger {name}")
        elif _words(found.definition) != _words(definition):
            yield Problem(f"The table {table} has another trigger {name} than declared")
        elif found.state not in "OA":
            yield _switched_off(table, table, name)


def _switched_off(table: str, name: str, trigger: str) -> Problem:
    """`table` is quoted where SQL needs it."""
    return Problem(
        f"The trigger {trigger} of the table {name} is switched off",
        (f"ALTER TABLE {table} ENABLE TRIGGER {trigger}",),
    )
