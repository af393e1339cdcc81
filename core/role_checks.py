"""Finds where the privileges of a role differ from the declared ones, by any way to them."""

from typing import Any

from django.db.backends.utils import CursorWrapper

from core.database_roles import KIND, NOT_OF_EXTENSIONS, Privileges, declared_for, joined

NAMED = 3
"""How many excess privileges a message lists; the rest are counted."""
IS_ABOVE_ALL = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
# The current role and every role it may SET ROLE to.
ROLES = "(SELECT oid, rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER'))"
ATTRIBUTES = f"""
    SELECT CASE WHEN rolname = current_user THEN '' ELSE 'is a member of ' || rolname || ', which '
           END || 'has ' || attribute
    FROM pg_roles JOIN {ROLES} reachable USING (rolname), LATERAL (VALUES
        (rolsuper, 'SUPERUSER'), (rolbypassrls, 'BYPASSRLS'), (rolcreaterole, 'CREATEROLE'),
        (rolcreatedb, 'CREATEDB'), (rolreplication, 'REPLICATION')) has (it, attribute)
    WHERE it
    UNION ALL SELECT 'is a member of ' || rolname FROM {ROLES} reachable
    WHERE rolname ~ '^pg_' AND rolname <> 'pg_database_owner'
"""
OWNED = f"""
    SELECT what FROM (
        SELECT 'the database ' || datname AS what, datdba AS owner, 1 AS place FROM pg_database
        UNION ALL SELECT 'the schema ' || nspname, nspowner, 2 FROM pg_namespace n
        UNION ALL SELECT 'the table ' || relname, relowner, 3 FROM pg_class c
        JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname !~ '^pg_'
        UNION ALL SELECT 'the function ' || proname, proowner, 4 FROM pg_proc
        UNION ALL SELECT 'the type ' || typname, typowner, 5 FROM pg_type
        WHERE typtype IN ('e', 'd', 'r', 'm')
        UNION ALL SELECT 'the large object ' || oid || ' (as that role, run: SELECT lo_unlink('
        || oid || '))', lomowner, 6 FROM pg_largeobject_metadata
    ) things WHERE owner IN (SELECT oid FROM {ROLES} reachable) ORDER BY place, what
"""
DATABASE_ACCESS = f"""
    SELECT DISTINCT 'may CREATE in the schema ' || nspname
    FROM pg_namespace, {ROLES} reachable
    WHERE nspname !~ '^pg_(toast|temp)'
    AND has_schema_privilege(reachable.oid, pg_namespace.oid, 'CREATE')
    UNION ALL SELECT DISTINCT 'may use ' || word || ' in the database'
    FROM unnest(ARRAY['CREATE', 'TEMPORARY']) word, {ROLES} reachable
    WHERE has_database_privilege(reachable.oid, current_database(), word)
    UNION ALL SELECT DISTINCT 'may SET session_replication_role' FROM {ROLES} reachable
    WHERE has_parameter_privilege(reachable.oid, 'session_replication_role', 'SET')
"""
ON_TABLES = f"""
    SELECT relname, {KIND}, array_agg(DISTINCT word) FILTER (WHERE
        CASE WHEN relkind = 'S' THEN has_sequence_privilege(reachable.oid, c.oid, word)
        ELSE has_table_privilege(reachable.oid, c.oid, word) OR word = ANY (%(by_column)s)
             AND has_any_column_privilege(reachable.oid, c.oid, word) END)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace,
         LATERAL unnest(CASE WHEN relkind = 'S' THEN %(of_sequences)s::text[]
                             ELSE %(of_tables)s::text[] END) word,
         {ROLES} reachable
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND {NOT_OF_EXTENSIONS.format(oid="c.oid", catalog="pg_class")} GROUP BY 1, 2 ORDER BY 1
"""
BY_COLUMN = ["SELECT", "INSERT", "UPDATE", "REFERENCES"]
OF_TABLES = [*BY_COLUMN, "DELETE", "TRUNCATE", "TRIGGER"]
OF_SEQUENCES = ["USAGE", "SELECT", "UPDATE"]


def excess(cursor: CursorWrapper) -> list[str]:
    """Privileges of the connected role beyond the declared ones, as predicates after "the role"."""
    problems = [what for (what,) in _fetch_all(cursor, ATTRIBUTES)]
    problems += [f"owns {what}" for (what,) in _fetch_all(cursor, OWNED)]
    problems += [what for (what,) in _fetch_all(cursor, DATABASE_ACCESS)]
    if any(what.startswith("owns") for what in problems):
        return problems  # an owner can do anything with what it owns
    for table, kind, held in held_privileges(cursor):
        if more := held - declared_for(table, kind):
            problems.append(f"may {', '.join(sorted(more))} {table}")
    return problems


def missing(cursor: CursorWrapper) -> list[str]:
    """The privileges that the connected role lacks."""
    return [
        f"may not {', '.join(sorted(less))} {table}"
        for table, kind, held in held_privileges(cursor)
        if (less := declared_for(table, kind) - held)
    ]


def held_privileges(cursor: CursorWrapper) -> list[tuple[str, str, Privileges]]:
    """(name, kind, effective privileges) of each table, partition and sequence."""
    cursor.execute("SHOW server_version_num")
    maintain = ["MAINTAIN"] if int(cursor.fetchone()[0]) >= 170_000 else []
    words = {
        "by_column": BY_COLUMN,
        "of_tables": OF_TABLES + maintain,
        "of_sequences": OF_SEQUENCES,
    }
    cursor.execute(ON_TABLES, words)
    return [(name, kind, frozenset(held or ())) for name, kind, held in cursor.fetchall()]


def in_one_sentence(role: str, problems: list[str]) -> str:
    more = len(problems) - NAMED
    named = joined([*problems[:NAMED], f"{more} more"] if more > 0 else problems)
    return f"The database role {role} {named}."


def _fetch_all(cursor: CursorWrapper, query: str) -> list[Any]:
    cursor.execute(query)
    return list(cursor.fetchall())
