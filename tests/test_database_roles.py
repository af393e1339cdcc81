"""The application's role has exactly the declared rights, whatever SQL it runs.

The tables are read from the catalog, so that new ones are covered automatically.
"""

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_migrate, pre_migrate
from psycopg import errors, sql

from agentidp.checks import refuse_unsafe_start
from core import database_roles
from core.database_roles import (
    as_owner,
    declared_for,
    functions,
    relations,
)
from core.role_checks import excess, held_privileges, missing
from core.role_grants import grant_declared
from core.table_protection import unprotected

APPLICATION, OWNER = "agentidp_app", "agentidp_owner"

ON_EVERY_TABLE = (
    "TRUNCATE {}",
    "TRUNCATE {} CASCADE",
    "DROP TABLE {}",
    "ALTER TABLE {} DISABLE TRIGGER USER",
    "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE {} DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE {} OWNER TO CURRENT_USER",
    "ALTER TABLE {} ADD COLUMN mine integer",
    "ALTER TABLE {} RENAME TO mine",
    "CREATE POLICY everything ON {} USING (true)",
    "CREATE TRIGGER mine BEFORE INSERT ON {} FOR EACH ROW "
    "EXECUTE FUNCTION organizations_refuse_change()",
    "CREATE RULE mine AS ON INSERT TO {} DO INSTEAD NOTHING",
    "CREATE INDEX ON {} (ctid)",
    "COMMENT ON TABLE {} IS 'mine'",
    "COPY {} TO PROGRAM 'true'",
    "COPY {} FROM PROGRAM 'true'",
    "COPY {} TO '/tmp/mine'",
    "COPY {} FROM '/etc/passwd'",
    "CREATE VIEW mine AS SELECT * FROM {}",
)

ANYWHERE = (
    "CREATE TABLE mine (id integer)",
    "CREATE TABLE public.mine (id integer REFERENCES organizations_attempt (key))",
    "CREATE TEMPORARY TABLE mine (id integer)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS void LANGUAGE sql AS ''",
    "CREATE OR REPLACE FUNCTION organizations_refuse_change() RETURNS trigger "
    "LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$",
    "ALTER FUNCTION organizations_refuse_change() OWNER TO CURRENT_USER",
    "DROP FUNCTION organizations_refuse_change() CASCADE",
    "CREATE TYPE mine AS ENUM ('a')",
    "DROP EXTENSION plpgsql CASCADE",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION organizations_refuse_change()",
    "CREATE ROLE mine",
    "ALTER DATABASE {database} SET row_security = off",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "ALTER ROLE CURRENT_USER CREATEDB",
    f"GRANT {OWNER} TO CURRENT_USER",
    f"SET ROLE {OWNER}",
    "SET ROLE postgres",
    f"SET SESSION AUTHORIZATION {OWNER}",
    "SET session_replication_role = replica",
    f"DROP OWNED BY {OWNER}",
    f"REASSIGN OWNED BY {OWNER} TO CURRENT_USER",
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT ALL ON TABLES TO CURRENT_USER",
    "DROP POLICY organization_isolation ON organizations_auditevent",
    "ALTER POLICY organization_isolation ON agents_agent USING (true)",
    "DROP TRIGGER organizations_auditevent_append_only ON organizations_auditevent",
    "DROP TRIGGER organizations_auditevent_moves_head ON organizations_auditevent",
    "DROP TRIGGER organizations_auditevent_not_emptied ON organizations_auditevent",
    "UPDATE organizations_auditchain SET sequence = 0",
    "INSERT INTO organizations_auditchain (organization_id, sequence, hash) VALUES "
    "('00000000-0000-0000-0000-000000000000', 1, '')",
    "DELETE FROM organizations_auditchain",
    "UPDATE organizations_auditevent SET action = 'x'",
    "DELETE FROM organizations_auditevent",
    "DELETE FROM django_migrations",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_export(0, '/tmp/mine')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT pg_reload_conf()",
    "LOAD '/tmp/mine.so'",
    "SELECT organizations_move_audit_head()",
)


def all_of(read: Callable[[Any], Any]) -> Any:
    with connection.cursor() as cursor:
        return read(cursor)


def tables() -> list[str]:
    return [name for _, name, kind, _ in all_of(relations) if kind in {"r", "p", "partition"}]


def is_refused(statement: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError as error:
        return isinstance(error.__cause__, errors.InsufficientPrivilege)
    return False


@pytest.mark.parametrize("statement", ON_EVERY_TABLE)
def test_the_application_can_change_no_table(db: None, statement: str) -> None:
    before = all_of(held_privileges)

    allowed = [table for table in tables() if not is_refused(statement.format(table))]

    assert allowed == []
    assert all_of(held_privileges) == before


@pytest.mark.parametrize("statement", ANYWHERE)
def test_the_application_can_neither_make_nor_become_anything(db: None, statement: str) -> None:
    database = connection.settings_dict["NAME"]

    assert is_refused(statement.format(database=database))


@pytest.mark.parametrize("statement", ["CREATE DATABASE mine", "ALTER SYSTEM SET fsync = off"])
@pytest.mark.django_db(transaction=True)
def test_the_application_cannot_change_the_server(statement: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_the_application_cannot_give_itself_a_right(db: None) -> None:
    before = all_of(held_privileges)

    for table in tables():
        # PostgreSQL warns instead of refusing, if the role has any right on the table.
        is_refused(f"GRANT SELECT ON {table} TO PUBLIC")
        is_refused(f"GRANT ALL ON {table} TO CURRENT_USER")

    assert all_of(held_privileges) == before
    assert all_of(excess) == []


def test_switching_row_level_security_off_shows_nothing(db: None) -> None:
    assert is_refused("SET LOCAL row_security = off; SELECT * FROM agents_agent")


def test_every_right_is_declared_and_every_declaration_is_granted(db: None) -> None:
    granted = all_of(
        lambda cursor: [
            (name, kind, owner, dict(grants_on(cursor, schema, name)))
            for schema, name, kind, owner in relations(cursor)
        ]
    )

    assert len(granted) > 40
    for name, kind, owner, grants in granted:
        assert owner == OWNER, name
        assert grants.pop(APPLICATION, []) == sorted(declared_for(name, kind)), name
        assert grants.keys() <= {OWNER}, name
    assert all_of(held_privileges) == [
        (name, kind, declared_for(name, kind)) for name, kind, *_ in sorted(granted)
    ]


def grants_on(cursor: Any, schema: str, name: str) -> list[tuple[str, list[str]]]:
    """The rights of each role on the relation and its columns; PUBLIC is '-'."""
    cursor.execute(
        "SELECT grantee::regrole::text, array_agg(DISTINCT privilege_type ORDER BY privilege_type) "
        "FROM (SELECT relacl AS acl FROM pg_class WHERE oid = %(oid)s::regclass UNION ALL "
        "SELECT attacl FROM pg_attribute WHERE attrelid = %(oid)s::regclass) found, "
        "aclexplode(acl) GROUP BY 1",
        {"oid": sql.Identifier(schema, name).as_string(None)},
    )
    return list(cursor.fetchall())


def test_every_declared_table_exists(db: None) -> None:
    assert database_roles.DECLARED.keys() <= set(tables())


def test_functions_are_the_owners_and_those_of_triggers_are_called_by_triggers_only(
    db: None,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace "
            "WHERE nspname = 'public' AND proowner::regrole::text <> %s",
            [OWNER],
        )
        assert cursor.fetchall() == []
        for signature, is_trigger in functions(cursor):
            cursor.execute(
                "SELECT has_function_privilege(current_user, %(it)s::regprocedure, 'EXECUTE'),"
                " EXISTS (SELECT FROM pg_proc, aclexplode(proacl) WHERE oid = %(it)s::regprocedure"
                " AND grantee = 0)",
                {"it": signature},
            )
            assert cursor.fetchone() == (not is_trigger, False), signature


TOO_MUCH = {
    "GRANT TRUNCATE ON agents_agent TO agentidp_app": "may TRUNCATE agents_agent",
    "GRANT TRIGGER, REFERENCES ON agents_agent TO PUBLIC": "may REFERENCES, TRIGGER agents_agent",
    "GRANT UPDATE, DELETE ON organizations_auditevent TO agentidp_app": (
        "may DELETE, UPDATE organizations_auditevent"
    ),
    "GRANT UPDATE (hash) ON organizations_auditevent TO agentidp_app": (
        "may UPDATE organizations_auditevent"
    ),
    "GRANT INSERT ON organizations_auditchain TO PUBLIC": "may INSERT organizations_auditchain",
    "GRANT UPDATE (hash) ON organizations_auditchain TO PUBLIC": (
        "may UPDATE organizations_auditchain"
    ),
    "GRANT SELECT ON tokens_tokenevent_default TO agentidp_app": (
        "may SELECT tokens_tokenevent_default"
    ),
    "GRANT CREATE ON SCHEMA public TO agentidp_app": "may CREATE in the schema public",
    "GRANT CREATE ON SCHEMA public TO PUBLIC": "may CREATE in the schema public",
    "GRANT TEMPORARY ON DATABASE {database} TO PUBLIC": "may use TEMPORARY in the database",
    "GRANT CREATE ON DATABASE {database} TO agentidp_app": "may use CREATE in the database",
}


@pytest.mark.parametrize("statement", TOO_MUCH)
def test_an_excess_right_is_reported_at_the_start_and_revoked_by_the_next_migrate(
    owner: Any, statement: str
) -> None:
    owner.execute(statement.format(database=connection.settings_dict["NAME"]))
    try:
        with pytest.raises(ImproperlyConfigured) as refusal:
            refuse_unsafe_start()
    finally:
        call_command("migrate", verbosity=0)

    assert str(refusal.value).startswith(f"The database role {APPLICATION} {TOO_MUCH[statement]}")
    assert "\n" not in str(refusal.value)
    refuse_unsafe_start()
    assert all_of(excess) == []


def test_a_missing_right_is_reported_at_the_start_and_granted_by_the_next_migrate(
    owner: Any,
) -> None:
    owner.execute("REVOKE INSERT, SELECT ON agents_agent FROM agentidp_app")
    owner.execute("CREATE TABLE made_by_hand (id serial)")
    try:
        told = all_of(missing)
        with pytest.raises(ImproperlyConfigured, match=r"Run: python manage\.py migrate"):
            refuse_unsafe_start()
        call_command("migrate", verbosity=0)
        after = all_of(missing), all_of(excess)
    finally:
        owner.execute("DROP TABLE made_by_hand")

    assert told == [
        "may not INSERT, SELECT agents_agent",
        "may not DELETE, INSERT, SELECT, UPDATE made_by_hand",
        "may not USAGE made_by_hand_id_seq",
    ]
    assert after == ([], [])


class Interrupted(Exception):
    """Whatever ends `migrate` too early."""


def unapply_policy(owner: Any) -> None:
    """Leave the database as a migration that creates such a table does."""
    owner.execute("DROP POLICY entered_organizations ON tokens_tokenevent")
    owner.execute("GRANT UPDATE ON organizations_auditchain TO agentidp_app")


def default_privileges(owner: Any) -> Any:
    role = (
        "SELECT %s::regrole::oid = ANY (SELECT grantee FROM pg_default_acl, aclexplode(defaclacl))"
    )
    return owner.execute(role, [APPLICATION]).fetchone()


def killed() -> None:
    os._exit(9)


def failed() -> None:
    raise Interrupted


def migrate_interrupted_by(interrupt: Callable[[], None]) -> None:
    """Run `migrate` until all migrations are applied, and nothing after that."""

    def stop(**of_signal: Any) -> None:
        interrupt()

    last = list(apps.get_app_configs())[-1]
    post_migrate.connect(stop, sender=last)
    try:
        call_command("migrate", verbosity=0)
    finally:
        post_migrate.disconnect(stop, sender=last)


def test_a_killed_migrate_is_told_at_the_start_and_the_next_one_mends_it(owner: Any) -> None:
    unapply_policy(owner)
    connection.close()  # the child may not use it
    try:
        child = multiprocessing.get_context("fork").Process(
            target=migrate_interrupted_by, args=[killed]
        )
        child.start()
        child.join(60)
        left = child.exitcode, default_privileges(owner), all_of(excess)
        owner.execute("REVOKE UPDATE ON organizations_auditchain FROM agentidp_app")
        with pytest.raises(ImproperlyConfigured) as refusal:
            refuse_unsafe_start()
    finally:
        call_command("migrate", verbosity=0)

    assert left == (9, (True,), ["may UPDATE organizations_auditchain"])
    assert str(refusal.value) == (
        "The table tokens_tokenevent has no policy entered_organizations for its owner. "
        "Run: python manage.py migrate"
    )
    assert default_privileges(owner) == (False,)
    refuse_unsafe_start()


def test_a_migrate_that_fails_leaves_nothing_open(owner: Any) -> None:
    unapply_policy(owner)
    try:
        with pytest.raises(Interrupted):
            migrate_interrupted_by(failed)
        left = default_privileges(owner), all_of(excess), all_of(unprotected)
    finally:
        call_command("migrate", verbosity=0)

    assert left == ((False,), [], [])


BY_THE_NEW_RELEASE = """
    CREATE TABLE newer (id serial);
    CREATE FUNCTION newer_rows() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM newer';
"""


def test_running_servers_may_use_what_a_migration_creates(owner: Any) -> None:
    """A function that running servers call may already call a new one before `migrate` has
    ended.
    """
    access = {name: settings.DATABASES["default"].get(name) for name in database_roles.CONNECTION}
    found = []

    def migrated(**of_signal: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(BY_THE_NEW_RELEASE)
        database_roles.connect_with(connection, access)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO newer DEFAULT VALUES; SELECT current_user, newer_rows()")
            while cursor.nextset():
                found[:] = cursor.fetchall()
        database_roles.connect_with(connection, settings.DATABASE_OWNER)

    sender = apps.get_app_config("organizations")
    pre_migrate.connect(migrated, sender=sender)
    try:
        call_command("migrate", verbosity=0)
        owner.execute("CREATE TABLE newest ()")
        may_read = "SELECT has_table_privilege(%s, 'newest', 'SELECT')"
        after = owner.execute(may_read, [APPLICATION]).fetchone()
    finally:
        pre_migrate.disconnect(migrated, sender=sender)
        owner.execute("DROP FUNCTION IF EXISTS newer_rows(); DROP TABLE IF EXISTS newer, newest")

    assert found == [(APPLICATION, 1)]
    assert after == (False,), "what somebody makes by hand afterwards is not"
    assert all_of(missing) == all_of(excess) == []


@pytest.mark.django_db(transaction=True)
def test_the_owner_is_no_role_to_serve_with(settings: Any) -> None:
    with as_owner(connection):
        settings.DATABASE_OWNER = None
        with pytest.raises(ImproperlyConfigured, match=f"role {OWNER} has CREATEDB, owns the"):
            refuse_unsafe_start()


@pytest.mark.django_db(transaction=True)
def test_granting_again_changes_nothing() -> None:
    before = all_of(held_privileges)

    with as_owner(connection):
        grant_declared(connection)

    assert all_of(held_privileges) == before


@pytest.mark.django_db(transaction=True)
def test_without_the_owners_address_nothing_is_migrated(settings: Any) -> None:
    settings.DATABASE_OWNER = None

    with pytest.raises(ImproperlyConfigured, match="AGENTIDP_DATABASE_OWNER_URL"):
        call_command("migrate", verbosity=0)
    call_command("migrate", check_unapplied=True, verbosity=0)
