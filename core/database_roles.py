"""The two PostgreSQL roles: the owner, which migrates, and the application's role.

The application's privileges are declared here. The owner of a table can disable its row-level
security, drop its triggers and truncate it. So the application's role owns nothing, and the product
refuses to start with a role that has more privileges.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import sql

Privileges = frozenset[str]

DEFAULT_PRIVILEGES: Privileges = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
DECLARED: dict[str, Privileges] = {
    # Append-only. A trigger that runs as the owner moves the head of the chain.
    "organizations_auditevent": frozenset({"SELECT", "INSERT"}),
    "organizations_auditchain": frozenset({"SELECT"}),
    # Written only by migrations.
    "auth_permission": frozenset({"SELECT"}),
    "django_content_type": frozenset({"SELECT"}),
    "django_migrations": frozenset({"SELECT"}),
}
"""The application's privileges on a table, where they differ from DEFAULT_PRIVILEGES."""
SEQUENCE: Privileges = frozenset({"USAGE"})
AT_BIRTH = {
    "FUNCTIONS": frozenset({"EXECUTE"}),
    "SEQUENCES": SEQUENCE,
    "TABLES": DEFAULT_PRIVILEGES,
}
"""Privileges on whatever a migration creates, until `migrate` ends."""
ENTERED = (
    "organization_id = ANY ((SELECT NULLIF(current_setting('app.organization_ids', true), '')"
    "::uuid[])::uuid[])"
)
OWNER_POLICY = "entered_organizations"
OWNER_POLICY_TABLES = (
    *("agents_agent", "tokens_credential", "tokens_resource", "tokens_resourcegrant"),
    *("tokens_monthlyusage", "tokens_tokenevent", "analytics_hourusage", "analytics_quarterusage"),
    *("analytics_agentdayusage", "analytics_agentmonthusage"),
)
"""The tables that tokens_issue_batch reads and writes for several organizations at once. It runs as
the owner, so this policy is the owner's alone: it changes no query of the application's role."""
READ_BEFORE_THE_TENANT = ("organizations_membership", "organizations_principal")
"""The tables with an organization that row-level security does not close: they tell which one a
caller belongs to."""
HOW_TO = "docs/how-to/deploy.md describes how to create two roles."
CONNECTION = ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
NAMED = 3
"""How many excess privileges a message lists; the rest are counted."""

OURS = """
    nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE objid = {oid} AND classid = '{catalog}'::regclass
        AND deptype = 'e')
"""
"""Restricts a query to objects that no extension installed."""


def declared_for(table: str) -> Privileges:
    return DECLARED.get(table, DEFAULT_PRIVILEGES)


@contextmanager
def as_owner(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Connect as the owner inside the block. Any open transaction of the connection is lost."""
    if settings.DATABASE_OWNER is None:
        raise ImproperlyConfigured(
            "Set AGENTIDP_DATABASE_OWNER_URL for this command: the application's role may not "
            f"change the schema. {HOW_TO}"
        )
    before = {name: connection.settings_dict.get(name) for name in CONNECTION}
    connect_with(connection, settings.DATABASE_OWNER)
    try:
        yield
    finally:
        connect_with(connection, before)


def connect_with(connection: BaseDatabaseWrapper, access: dict[str, Any]) -> None:
    """Reconnect with these credentials for all further statements."""
    connection.close()
    connection.settings_dict.update({name: access.get(name, "") for name in CONNECTION})


def is_owner(connection: BaseDatabaseWrapper) -> bool:
    """Whether the connection uses the owner's role, which must never serve requests."""
    owner = settings.DATABASE_OWNER
    return owner is not None and bool(connection.settings_dict["USER"] == owner["USER"])


# Granting


def require_ownership(connection: BaseDatabaseWrapper) -> None:
    """Raise ImproperlyConfigured if anything here belongs to another role than the current one.

    Run as the owner.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        role = cursor.fetchone()[0]
        others = sorted({owner for *_, owner in relations(cursor)} - {role})
    if others:
        raise ImproperlyConfigured(
            f"Tables of this database belong to {_joined(others)}, so {role} cannot migrate it. "
            f"Hand them over first: REASSIGN OWNED BY {others[0]} TO {role}. {HOW_TO}"
        )


def grant_at_birth(connection: BaseDatabaseWrapper) -> None:
    """Give the application's role access to whatever migrations are about to create.

    Run as the owner. Servers of the previous release keep running meanwhile, and a function they
    call may be replaced by one that calls a new function or writes into a new table.
    grant_declared() ends this.
    """
    with connection.cursor() as cursor:
        for kind, privileges in AT_BIRTH.items():
            words = ", ".join(sorted(privileges))
            statement = f"ALTER DEFAULT PRIVILEGES GRANT {words} ON {kind} TO {{}}"
            _execute(cursor, statement, settings.DATABASE_ROLE)


def grant_declared(connection: BaseDatabaseWrapper) -> None:
    """Give the application's role exactly the declared privileges. Run as the owner."""
    role = settings.DATABASE_ROLE
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        _execute(cursor, "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        for kind in AT_BIRTH:
            _execute(cursor, f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON {kind} FROM {{}}", role)
        _grant_entrance(cursor, connection.settings_dict["NAME"], role)
        for schema, name, kind, _ in relations(cursor):
            target = sql.Identifier(schema, name)
            wanted = SEQUENCE if kind == "S" else declared_for(name)
            word = "SEQUENCE" if kind == "S" else "TABLE"
            granted = _granted(cursor, schema, name, role)
            if granted != wanted:
                _execute(cursor, f"REVOKE ALL ON {word} {{}} FROM {{}}", target, role)
                _execute(
                    cursor,
                    f"GRANT {', '.join(sorted(wanted))} ON {word} {{}} TO {{}}",
                    target,
                    role,
                )
            if _granted(cursor, schema, name, ""):
                _execute(cursor, f"REVOKE ALL ON {word} {{}} FROM PUBLIC", target)
        for signature, is_trigger in functions(cursor):
            function = sql.SQL(signature)  # quoted by PostgreSQL
            _execute(cursor, "REVOKE ALL ON FUNCTION {} FROM PUBLIC", function)
            verb = "REVOKE ALL ON FUNCTION {} FROM {}" if is_trigger else ""
            _execute(cursor, verb or "GRANT EXECUTE ON FUNCTION {} TO {}", function, role)


def isolate_owner(connection: BaseDatabaseWrapper) -> None:
    """Let the owner's functions see the organizations that they enter, and no others.

    Run as the owner. A policy names its role, so it cannot be part of a migration: a restored
    database may have another owner.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        present = {name for _, name, *_ in relations(cursor)}
        cursor.execute(
            "SELECT tablename, roles = ARRAY[current_user] FROM pg_policies "
            "WHERE schemaname = 'public' AND policyname = %s",
            [OWNER_POLICY],
        )
        is_own = dict(cursor.fetchall())
        for table in OWNER_POLICY_TABLES:
            if table not in present or is_own.get(table):
                continue
            if table in is_own:
                _execute(cursor, "DROP POLICY {} ON {}", OWNER_POLICY, table)
            statement = f"CREATE POLICY {{}} ON {{}} TO CURRENT_USER USING ({ENTERED})"
            _execute(cursor, statement, OWNER_POLICY, table)


def close_open_tables(connection: BaseDatabaseWrapper) -> None:
    """Let tables of tenants show only one organization's rows. Run as the owner.

    Their migrations do that. This is for one that somebody opened by hand.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for (table,) in _fetch_all(cursor, OPEN_TABLES, [list(READ_BEFORE_THE_TENANT)]):
            _execute(cursor, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table)
            _execute(cursor, "ALTER TABLE {} FORCE ROW LEVEL SECURITY", table)


def _grant_entrance(cursor: CursorWrapper, database: str, role: str) -> None:
    cursor.execute(
        "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = %s", [database]
    )
    if not cursor.fetchone()[0]:
        return  # the check at startup fails if this leaves the role too many privileges
    named, schema = sql.Identifier(database), sql.SQL("SCHEMA public")
    _execute(cursor, "REVOKE CREATE, TEMPORARY ON DATABASE {} FROM PUBLIC", named)
    _execute(cursor, "REVOKE ALL ON DATABASE {} FROM {}", named, role)
    _execute(cursor, "GRANT CONNECT ON DATABASE {} TO {}", named, role)
    _execute(cursor, "REVOKE CREATE ON {} FROM PUBLIC", schema)
    _execute(cursor, "REVOKE ALL ON {} FROM {}", schema, role)
    _execute(cursor, "GRANT USAGE ON {} TO {}", schema, role)


def _execute(cursor: CursorWrapper, statement: str, *names: sql.Composable | str) -> None:
    parts = [sql.Identifier(name) if isinstance(name, str) else name for name in names]
    cursor.execute(sql.SQL(statement).format(*parts))


def relations(cursor: CursorWrapper) -> list[tuple[str, str, str, str]]:
    """(schema, name, kind, owner) of each of our tables, views and sequences."""
    cursor.execute(
        "SELECT nspname, relname, relkind::text, relowner::regrole::text FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p','v','m','f','S') "
        f"AND {OURS.format(oid='c.oid', catalog='pg_class')} ORDER BY 1, 2"
    )
    return list(cursor.fetchall())


def functions(cursor: CursorWrapper) -> list[tuple[str, bool]]:
    """(signature, is_trigger) of each of our functions."""
    cursor.execute(
        "SELECT p.oid::regprocedure::text, prorettype = 'trigger'::regtype FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = pronamespace "
        f"WHERE {OURS.format(oid='p.oid', catalog='pg_proc')} ORDER BY 1"
    )
    return list(cursor.fetchall())


def _granted(cursor: CursorWrapper, schema: str, name: str, role: str) -> Privileges:
    """The privileges granted to the role by name (to PUBLIC if it is ""), columns included."""
    cursor.execute(
        "SELECT DISTINCT privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END FROM ("
        " SELECT relacl AS acl FROM pg_class WHERE oid = %(oid)s::regclass UNION ALL"
        " SELECT attacl FROM pg_attribute WHERE attrelid = %(oid)s::regclass AND attacl IS NOT NULL"
        ") found, aclexplode(acl) WHERE grantee = CASE WHEN %(role)s = '' THEN 0 ELSE "
        "(SELECT oid FROM pg_roles WHERE rolname = %(role)s) END",
        {"oid": sql.Identifier(schema, name).as_string(None), "role": role},
    )
    return frozenset(found for (found,) in cursor.fetchall())


# Checking

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
        WHERE typtype IN ('e', 'd')
    ) things WHERE owner IN (SELECT oid FROM {ROLES} reachable) ORDER BY place, what
"""
ENTRANCE = f"""
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
    SELECT relname, relkind::text, array_agg(DISTINCT word) FILTER (WHERE
        CASE WHEN relkind = 'S' THEN has_sequence_privilege(reachable.oid, c.oid, word)
        ELSE has_table_privilege(reachable.oid, c.oid, word) OR word = ANY (%(by_column)s)
             AND has_any_column_privilege(reachable.oid, c.oid, word) END)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace,
         LATERAL unnest(CASE WHEN relkind = 'S' THEN %(of_sequences)s::text[]
                             ELSE %(of_tables)s::text[] END) word,
         {ROLES} reachable
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND {OURS.format(oid="c.oid", catalog="pg_class")} GROUP BY 1, 2 ORDER BY 1
"""
OPEN_TABLES = f"""
    SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_attribute ON attrelid = c.oid AND attname = 'organization_id' AND NOT attisdropped
    WHERE relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)
    AND relname <> ALL (%s) AND {OURS.format(oid="c.oid", catalog="pg_class")} ORDER BY 1
"""
WITHOUT_OWNER_POLICY = f"""
    SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT EXISTS (
        SELECT FROM pg_policy WHERE polrelid = c.oid AND polname = %s
        AND polroles = ARRAY[relowner])
    AND relname = ANY (%s) AND {OURS.format(oid="c.oid", catalog="pg_class")} ORDER BY 1
"""
BY_COLUMN = ["SELECT", "INSERT", "UPDATE", "REFERENCES"]
OF_TABLES = [*BY_COLUMN, "DELETE", "TRUNCATE", "TRIGGER"]
OF_SEQUENCES = ["USAGE", "SELECT", "UPDATE"]


def excess(cursor: CursorWrapper) -> list[str]:
    """Privileges of the connected role beyond the declared ones, as predicates after "the role"."""
    problems = [what for (what,) in _fetch_all(cursor, ATTRIBUTES)]
    problems += [f"owns {what}" for (what,) in _fetch_all(cursor, OWNED)]
    problems += [what for (what,) in _fetch_all(cursor, ENTRANCE)]
    if any(what.startswith("owns") for what in problems):
        return problems  # an owner can do anything with what it owns
    for table, kind, held in held_privileges(cursor):
        wanted = SEQUENCE if kind == "S" else declared_for(table)
        if more := held - wanted:
            problems.append(f"may {', '.join(sorted(more))} {table}")
    return problems


def unprotected(cursor: CursorWrapper) -> list[str]:
    """What `migrate` left open because it was interrupted, as sentences without a full stop."""
    open_tables = [
        f"The table {table} shows every organization's rows"
        for (table,) in _fetch_all(cursor, OPEN_TABLES, [list(READ_BEFORE_THE_TENANT)])
    ]
    closed_tables = [
        f"The table {table} has no policy {OWNER_POLICY} for its owner"
        for (table,) in _fetch_all(
            cursor, WITHOUT_OWNER_POLICY, [OWNER_POLICY, list(OWNER_POLICY_TABLES)]
        )
    ]
    return open_tables + closed_tables


def missing(cursor: CursorWrapper) -> list[str]:
    """The privileges that the connected role lacks."""
    return [
        f"may not {', '.join(sorted(less))} {table}"
        for table, kind, held in held_privileges(cursor)
        if (less := (SEQUENCE if kind == "S" else declared_for(table)) - held)
    ]


def held_privileges(cursor: CursorWrapper) -> list[tuple[str, str, Privileges]]:
    """(name, kind, effective privileges) of each of our tables and sequences."""
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
    named = _joined([*problems[:NAMED], f"{more} more"] if more > 0 else problems)
    return f"The database role {role} {named}."


def _joined(words: Iterable[str]) -> str:
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last


def _fetch_all(cursor: CursorWrapper, query: str, values: list[Any] | None = None) -> list[Any]:
    cursor.execute(query, values)
    return list(cursor.fetchall())
