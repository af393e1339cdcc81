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
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

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
OF_PARTITION: Privileges = frozenset()
"""Rows of a partition are read and written through its parent, whose policies then apply."""
OWNER_POLICY = "entered_organizations"
OWNER_POLICY_TABLES = (
    *("agents_agent", "tokens_credential", "tokens_resource", "tokens_resourcegrant"),
    *("tokens_monthlyusage", "tokens_tokenevent", "analytics_hourusage", "analytics_quarterusage"),
    *("analytics_agentdayusage", "analytics_agentmonthusage"),
)
"""The tables that tokens_issue_batch reads and writes for several organizations at once. It runs as
the owner, so this policy is the owner's alone: it changes no query of the application's role.

Listed here by name, as privileges are, instead of by their apps: it is one exception to the
isolation of organizations, whose whole extent a reader must see, and which no app may widen.
tests/test_isolation.py compares it with the functions."""
ENTERED = (
    "organization_id = ANY ((SELECT NULLIF(current_setting('app.organization_ids', true), '')"
    "::uuid[])::uuid[])"
)
"""The condition of that policy."""
READ_BEFORE_THE_TENANT = ("organizations_membership", "organizations_principal")
"""The tables with an organization that row-level security does not close: they tell which one a
caller belongs to."""
HOW_TO = "docs/how-to/deploy.md describes how to create two roles."
CONNECTION = ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
NOT_OF_EXTENSIONS = """
    nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (
        SELECT FROM pg_depend WHERE objid = {oid} AND classid = '{catalog}'::regclass
        AND deptype = 'e')
"""
"""Restricts a query to objects that no extension installed."""


KIND = "CASE WHEN relispartition THEN 'partition' ELSE relkind::text END"
"""What `declared_for` takes for the kind of a relation, in SQL."""


def declared_for(relation: str, kind: str = "r") -> Privileges:
    """The application's privileges; `kind` is PostgreSQL's letter, or "partition"."""
    if kind == "partition":
        return OF_PARTITION
    return SEQUENCE if kind == "S" else DECLARED.get(relation, DEFAULT_PRIVILEGES)


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


def relations(cursor: CursorWrapper) -> list[tuple[str, str, str, str]]:
    """(schema, name, kind, owner) of each table, partition, view and sequence."""
    cursor.execute(
        f"SELECT nspname, relname, {KIND}, relowner::regrole::text FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p','v','m','f','S') "
        f"AND {NOT_OF_EXTENSIONS.format(oid='c.oid', catalog='pg_class')} ORDER BY 1, 2"
    )
    return list(cursor.fetchall())


def functions(cursor: CursorWrapper) -> list[tuple[str, bool]]:
    """(signature, is_trigger) of each function."""
    cursor.execute(
        "SELECT p.oid::regprocedure::text, prorettype = 'trigger'::regtype FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = pronamespace "
        f"WHERE {NOT_OF_EXTENSIONS.format(oid='p.oid', catalog='pg_proc')} ORDER BY 1"
    )
    return list(cursor.fetchall())


def others_functions(cursor: CursorWrapper, role: str) -> list[tuple[str, list[str]]]:
    """(signature, roles) of each function that roles but its owner and this one may call.

    PUBLIC is everybody.
    """
    cursor.execute(
        "SELECT p.oid::regprocedure::text, array_agg(DISTINCT CASE WHEN grantee = 0 THEN 'PUBLIC' "
        "ELSE pg_get_userbyid(grantee) END) FROM pg_proc p JOIN pg_namespace n "
        "ON n.oid = pronamespace, aclexplode(coalesce(proacl, acldefault('f', proowner))) "
        f"WHERE {NOT_OF_EXTENSIONS.format(oid='p.oid', catalog='pg_proc')} AND grantee NOT IN "
        "(SELECT oid FROM pg_roles WHERE oid = proowner OR rolname = %s) GROUP BY 1 ORDER BY 1",
        [role],
    )
    return list(cursor.fetchall())


def joined(words: Iterable[str]) -> str:
    *before, last = words
    return f"{', '.join(before)} and {last}" if before else last
