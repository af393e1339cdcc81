"""Finds where a function of the database is not the one that `<app>/sql/<function>.sql` declares.

Functions decide who gets a token and keep the audit log. The content of a backup, or somebody with
the owner's role, can replace them, and no query would show it. One more function or operator in
their schema can do the same: a call takes it where it fits better than PostgreSQL's own.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db.backends.utils import CursorWrapper

from core import package_objects
from core.database_roles import NOT_OF_EXTENSIONS, others_functions
from core.sql_words import normalized, words
from core.table_protection import Problem

FOUND = f"""
    SELECT p.oid::regprocedure::text, proname, prosrc, pg_get_function_sqlbody(p.oid),
        lanname, prosecdef, provolatile::text, proparallel::text, proisstrict, proleakproof,
        coalesce(proconfig, '{{}}'),
        proowner = (SELECT relowner FROM pg_class WHERE oid = 'django_migrations'::regclass),
        pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'django_migrations'::regclass)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    JOIN pg_language l ON l.oid = prolang
    WHERE {NOT_OF_EXTENSIONS.format(oid="p.oid", catalog="pg_proc")} ORDER BY 1
"""
OPERATORS = f"""
    SELECT o.oid::regoperator::text FROM pg_operator o JOIN pg_namespace n ON n.oid = oprnamespace
    WHERE n.oid = (SELECT relnamespace FROM pg_class WHERE oid = 'django_migrations'::regclass)
    AND {NOT_OF_EXTENSIONS.format(oid="o.oid", catalog="pg_operator")} ORDER BY 1
"""
CLOSED = f"""
    SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE {NOT_OF_EXTENSIONS.format(oid="p.oid", catalog="pg_proc")}
    AND prorettype <> 'trigger'::regtype
    AND NOT has_function_privilege(%s, p.oid, 'EXECUTE') ORDER BY 1
"""
QUOTED = re.compile(r"\bAS\s+\$(\w*)\$(.*)\$\1\$", re.DOTALL)
STANDARD = re.compile(r"^(BEGIN ATOMIC\b.*END|RETURN\b.*?);\s*\Z", re.DOTALL | re.MULTILINE)
"""The two forms of a body: PostgreSQL keeps the text of the first, and only a tree of the other."""
SETTING = re.compile(r"\bSET (\w+) (?:=|TO) ('[^']*'|[\w, ]+?)\s*(?=;|\Z|\bSET\b|\bAS\b|\n)")


class Declared(NamedTuple):
    """What a file says of its function, in PostgreSQL's letters."""

    text: str
    body: str
    is_kept_as_written: bool
    language: str
    runs_as_owner: bool
    volatility: str
    parallel: str
    is_strict: bool
    is_leakproof: bool
    settings: tuple[str, ...]


@lru_cache(maxsize=1)
def declared() -> dict[str, Declared]:
    """The functions of all files, by name."""
    return {file.stem: read(file.read_text()) for file in files()}


def files() -> list[Path]:
    return sorted(settings.BASE_DIR.glob("*/sql/*.sql"))


def read(text: str) -> Declared:
    """Raise ValueError if the text has no body in one of the two forms."""
    if found := QUOTED.search(text):
        body = found[2]
    elif standard := STANDARD.search(text):
        body, found = standard[1], standard
    else:
        raise ValueError("A function has no body.")
    head = re.sub(r"--[^\n]*", "", text[: found.start()]) + " " + text[found.end() :]
    language = re.search(r"\bLANGUAGE (\w+)", head)
    parallel = re.search(r"\bPARALLEL (SAFE|RESTRICTED)", head)
    volatility = re.search(r"\b(IMMUTABLE|STABLE)\b", head)
    changed = SETTING.findall(head + "\n")
    return Declared(
        text,
        body,
        found.re is QUOTED,
        language[1] if language else "sql",
        "SECURITY DEFINER" in head,
        volatility[1][0].lower() if volatility else "v",
        parallel[1][0].lower() if parallel else "u",
        bool(re.search(r"\bSTRICT\b|RETURNS NULL ON NULL INPUT", head)),
        bool(re.search(r"(?<!NOT )LEAKPROOF", head)),
        tuple(sorted(setting(f"{name}={value.strip(chr(39))}") for name, value in changed)),
    )


def changed(cursor: CursorWrapper) -> list[Problem]:
    """The functions that are not as declared. All migrations are applied, and no newer ones."""
    cursor.execute(FOUND)
    problems = list(_compared(cursor.fetchall()))
    cursor.execute(OPERATORS)
    return problems + [
        Problem(f"The operator {operator} is not declared", how=f"Run: DROP OPERATOR {operator}")
        for (operator,) in cursor.fetchall()
    ]


def open_functions(cursor: CursorWrapper) -> list[Problem]:
    """The functions that others than the application's role may call, or that it may not."""
    role = settings.DATABASE_ROLE
    problems = [
        Problem(f"The function {signature} may be called by {' and '.join(others)}")
        for signature, others in others_functions(cursor, role)
    ]
    cursor.execute(CLOSED, [role])
    problems += [
        Problem(f"The role {role} may not call {signature}") for (signature,) in cursor.fetchall()
    ]
    again = "Run: python manage.py migrate"
    return [each._replace(how=again) for each in problems]


def _compared(rows: list[Any]) -> Iterator[Problem]:
    there: dict[str, list[Any]] = {}
    for signature, name, *facts in rows:
        there.setdefault(name, []).append((signature, *facts))
    for name, wanted in declared().items():
        found = there.pop(name, [])
        if not found:
            yield Problem(f"There is no function {name}", (wanted.text,))
        elif found[1:]:
            yield Problem(f"There are {len(found)} functions {name}")
        elif not found[0][-2]:
            yield Problem(f"The function {name} belongs to another role than the tables")
        elif not is_same(wanted, *found[0][1:-2]):
            yield Problem(f"The function {name} is not the one of this release", (wanted.text,))
    for name, others in there.items():
        for row in others:
            yield from _undeclared(name, *row)


def _undeclared(name: str, signature: str, body: str, *facts: Any) -> Iterator[Problem]:
    """What is wrong with a function that no file declares. Packages bring some of their own."""
    *_, is_in_our_schema = facts
    runs_as_owner = facts[2]
    there = f"The function {signature}"
    if runs_as_owner:
        yield Problem(f"{there} runs with the rights of its owner, and is not declared")
    elif is_in_our_schema and name not in package_objects.functions():
        how = f"Move it to another schema, or run: DROP ROUTINE {signature}"
        yield Problem(f"{there} is not declared", how=how)
    elif is_in_our_schema and normalized(body) != normalized(package_objects.functions()[name]):
        yield Problem(f"{there} is not the one of its package")


def is_same(wanted: Declared, written: str, tree: str | None, *facts: Any) -> bool:
    *plain_facts, changes = facts
    if tuple(plain_facts) != wanted[3:9] or tuple(sorted(map(setting, changes))) != wanted.settings:
        return False
    if wanted.is_kept_as_written:
        return tree is None and normalized(written) == normalized(wanted.body)
    return tree is not None and words(tree) == words(wanted.body)


def setting(text: str) -> str:
    """`name=value` with a name in small letters: PostgreSQL keeps its own spelling of some."""
    name, equals, value = text.partition("=")
    return name.lower() + equals + value
