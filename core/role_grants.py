"""Grants the application's role exactly its declared privileges. Run as the owner, by `migrate`."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from core.database_roles import (
    DEFAULT_PRIVILEGES,
    ENTERED,
    HOW_TO,
    OWNER_POLICY,
    OWNER_POLICY_TABLES,
    SEQUENCE,
    Privileges,
    declared_for,
    functions,
    joined,
    others_functions,
    relations,
)

DURING_MIGRATION = {
    "FUNCTIONS": frozenset({"EXECUTE"}),
    "SEQUENCES": SEQUENCE,
    "TABLES": DEFAULT_PRIVILEGES,
}
"""Privileges on whatever a migration creates, until `migrate` ends."""


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
            f"Tables of this database belong to {joined(others)}, so {role} cannot migrate it. "
            f"Hand them over first: REASSIGN OWNED BY {others[0]} TO {role}. {HOW_TO}"
        )


def grant_during_migration(connection: BaseDatabaseWrapper) -> None:
    """Give the application's role access to whatever migrations are about to create.

    Run as the owner. Servers of the previous release keep running meanwhile, and a function they
    call may be replaced by one that calls a new function or writes into a new table.
    grant_declared() ends this.
    """
    with connection.cursor() as cursor:
        for kind, privileges in DURING_MIGRATION.items():
            words = ", ".join(sorted(privileges))
            statement = f"ALTER DEFAULT PRIVILEGES GRANT {words} ON {kind} TO {{}}"
            _execute(cursor, statement, settings.DATABASE_ROLE)


def grant_declared(connection: BaseDatabaseWrapper) -> None:
    """Give the application's role exactly the declared privileges. Run as the owner."""
    role = settings.DATABASE_ROLE
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        _execute(cursor, "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        for kind in DURING_MIGRATION:
            _execute(cursor, f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON {kind} FROM {{}}", role)
        _grant_database_access(cursor, connection.settings_dict["NAME"], role)
        for schema, name, kind, _ in relations(cursor):
            target = sql.Identifier(schema, name)
            wanted = declared_for(name, kind)
            word = "SEQUENCE" if kind == "S" else "TABLE"
            granted = _granted(cursor, schema, name, role)
            if granted != wanted:
                _execute(cursor, f"REVOKE ALL ON {word} {{}} FROM {{}}", target, role)
                if wanted:
                    words = ", ".join(sorted(wanted))
                    _execute(cursor, f"GRANT {words} ON {word} {{}} TO {{}}", target, role)
            if _granted(cursor, schema, name, ""):
                _execute(cursor, f"REVOKE ALL ON {word} {{}} FROM PUBLIC", target)
        for signature, others in others_functions(cursor, role):
            for other in others:
                _execute(
                    cursor,
                    "REVOKE ALL ON FUNCTION {} FROM {} CASCADE",
                    sql.SQL(signature),
                    sql.SQL(other) if other == "PUBLIC" else other,
                )
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


def _grant_database_access(cursor: CursorWrapper, database: str, role: str) -> None:
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
