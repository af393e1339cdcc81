"""Functions and settings that are not as declared are told at the start."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection

from agentidp import health
from agentidp.checks import refuse_unsafe_start
from core.function_protection import changed, declared, open_functions
from core.role_settings import kept_settings
from core.sql_words import words

# Settings

HARMFUL = [
    *("default_transaction_read_only = on", "statement_timeout = 1", "row_security = off"),
    *("search_path = pg_catalog", "role = none", "transform_null_equals = on"),
    *("default_transaction_isolation = 'serializable'", "synchronous_commit = off"),
    *("standard_conforming_strings = off", "plan_cache_mode = force_custom_plan"),
]


def test_the_role_has_no_settings_of_its_own(db: None) -> None:
    with connection.cursor() as cursor:
        assert kept_settings(cursor) == []


@pytest.mark.parametrize("setting", HARMFUL)
@pytest.mark.parametrize("where", ["", 'IN DATABASE "{database}"'])
def test_a_setting_that_the_role_keeps_is_told_and_can_be_taken_back(
    db: None, setting: str, where: str
) -> None:
    where = where.format(database=connection.settings_dict["NAME"])
    name = setting.partition(" ")[0]
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER ROLE CURRENT_USER {where} SET {setting}")

        [problem] = kept_settings(cursor)
        with pytest.raises(ImproperlyConfigured) as refusal:
            refuse_unsafe_start()
        cursor.execute(problem.advice.partition(": ")[2])
        after = kept_settings(cursor)

    assert f"has the setting {name}, which" in problem.sentence
    assert str(refusal.value) == f"{problem.sentence}. {problem.advice}"
    assert "\n" not in str(refusal.value)
    assert after == []


def test_a_setting_of_the_database_is_told(owner: Any) -> None:
    database = f'"{connection.settings_dict["NAME"]}"'
    owner.execute(f"ALTER DATABASE {database} SET row_security = off")
    try:
        with pytest.raises(ImproperlyConfigured, match="has the setting row_security") as refusal:
            refuse_unsafe_start()
        health.unprotected_tables.forget()
        is_ready = health._run_checks()["protection"]
        owner.execute(str(refusal.value).partition("run: ")[2])
        health.unprotected_tables.forget()
        is_ready_again = health._run_checks()["protection"]
    finally:
        owner.execute(f"ALTER DATABASE {database} RESET ALL")
        health.unprotected_tables.forget()

    assert (is_ready, is_ready_again) == (False, True)


@pytest.mark.parametrize("setting", ["work_mem = '8MB'", "TimeZone = 'UTC'", "jit = off"])
def test_what_harms_nobody_may_be_set(owner: Any, setting: str) -> None:
    database = f'"{connection.settings_dict["NAME"]}"'
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {database} SET {setting}")

        assert kept_settings(cursor) == []


# Functions

HARM = {
    "ALTER FUNCTION tokens_live_agent SECURITY DEFINER": "tokens_live_agent",
    "ALTER FUNCTION tokens_issue_batch SECURITY INVOKER": "tokens_issue_batch",
    "ALTER FUNCTION tokens_issue_batch RESET search_path": "tokens_issue_batch",
    "ALTER FUNCTION tokens_issue_batch SET search_path = evil": "tokens_issue_batch",
    "ALTER FUNCTION tokens_issue SET row_security = off": "tokens_issue",
    "ALTER FUNCTION tokens_live_agent IMMUTABLE": "tokens_live_agent",
    "ALTER FUNCTION tokens_live_agent STRICT": "tokens_live_agent",
    "ALTER FUNCTION tokens_live_agent PARALLEL SAFE": "tokens_live_agent",
    "CREATE OR REPLACE FUNCTION organizations_refuse_change() RETURNS trigger LANGUAGE plpgsql "
    "AS $$BEGIN RETURN NULL; END$$": "organizations_refuse_change",
    "CREATE OR REPLACE FUNCTION executions_told(meta jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE "
    "PARALLEL SAFE RETURN meta": "executions_told",
    "CREATE OR REPLACE FUNCTION executions_told(meta jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE "
    "PARALLEL SAFE AS 'SELECT meta'": "executions_told",
}


def test_functions_of_a_fresh_database_are_those_of_the_files(db: None) -> None:
    with connection.cursor() as cursor:
        assert changed(cursor) == open_functions(cursor) == []
    assert len(declared()) >= 49


@pytest.mark.parametrize("statement", HARM)
def test_a_changed_function_is_told_and_restored_by_the_next_migrate(
    owner: Any, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = f"The function {HARM[statement]} is not the one of this release"
    owner.execute(statement)
    try:
        with pytest.raises(ImproperlyConfigured) as refusal:
            refuse_unsafe_start()
    finally:
        call_command("migrate", verbosity=0)

    assert str(refusal.value) == f"{sentence}. Run: python manage.py migrate"
    assert f"Mended: {sentence}." in capsys.readouterr().err
    refuse_unsafe_start()


@pytest.mark.parametrize("name", sorted(declared()))
def test_a_change_of_any_function_is_found(owner: Any, name: str) -> None:
    """A statement more at the beginning of its body, or another text or number in it."""
    text = declared()[name].text
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        for old, new in (
            ("\nBEGIN\n", "\nBEGIN\n    PERFORM 1;\n"),
            ("AS $$\n", "AS $$\n/* no more */ "),
            ("RETURN CASE\n", "RETURN CASE WHEN 1 = 2 THEN NULL\n"),
            ("RETURN lower(", "RETURN upper("),
            ("BEGIN ATOMIC\n    SELECT coalesce(", "BEGIN ATOMIC\n    SELECT greatest("),
            ("'string'", "'strings'"),
        ):
            if old in text:
                cursor.execute(text.replace(old, new, 1))
                break

        found = [each.sentence for each in changed(cursor)]

    assert found == [f"The function {name} is not the one of this release"]


UNMENDED = {
    "CREATE FUNCTION tokens_issue(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'": (
        "There are 2 functions tokens_issue"
    ),
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'": (
        "The function mine() runs with the rights of its owner, and is not declared"
    ),
    "ALTER FUNCTION procrastinate_fetch_job_v1 SECURITY DEFINER": "runs with the rights of its",
    "CREATE FUNCTION lower(character varying) RETURNS text LANGUAGE sql AS 'SELECT $1::text'": (
        "The function lower(character varying) is not declared"
    ),
    "CREATE PROCEDURE mine() LANGUAGE sql AS 'SELECT 1'": "The function mine() is not declared",
    "CREATE OR REPLACE FUNCTION procrastinate_unlink_periodic_defers_v1() RETURNS trigger "
    "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'": (
        "The function procrastinate_unlink_periodic_defers_v1() is not the one of its package"
    ),
    "CREATE OPERATOR === (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)": (
        "The operator ===(text,text) is not declared"
    ),
}


@pytest.mark.parametrize("statement", UNMENDED)
def test_a_function_that_migrate_cannot_mend_is_told(owner: Any, statement: str) -> None:
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        if "procrastinate_fetch" in statement:
            cursor.execute(
                "SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ '^procrastinate_' "
                "AND prorettype <> 'trigger'::regtype LIMIT 1"
            )
            signature = cursor.fetchone()[0]
            statement_here = f"ALTER FUNCTION {signature} SECURITY DEFINER"
        else:
            statement_here = statement
        cursor.execute(statement_here)

        [problem] = changed(cursor)

    assert UNMENDED[statement] in problem.sentence
    if "DROP" in problem.advice:
        _, _, there = problem.sentence.removesuffix(" is not declared").split(maxsplit=2)
        assert problem.advice.endswith(f" {there}")
    else:
        assert problem.advice == "Let a database administrator undo that."


def test_functions_elsewhere_are_not_ours(owner: Any) -> None:
    """Those of a database administrator in another schema, which no statement of AgentIdP finds."""
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA mine; "
            "CREATE FUNCTION mine.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT $1::text'; "
            "CREATE OPERATOR mine.=== (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)"
        )

        assert changed(cursor) == []


def test_a_function_that_is_not_there_is_made_again(owner: Any) -> None:
    with owner.transaction(force_rollback=True), owner.cursor() as cursor:
        cursor.execute("DROP FUNCTION organizations_lock_audit_head")
        [problem] = changed(cursor)
        cursor.execute(problem.mend[0])
        after = changed(cursor)

    assert problem.sentence == "There is no function organizations_lock_audit_head"
    assert after == []


GRANTS = {
    "GRANT EXECUTE ON FUNCTION tokens_issue_batch TO PUBLIC": "may be called by PUBLIC",
    "GRANT EXECUTE ON FUNCTION tokens_issue_batch TO pg_monitor": "may be called by pg_monitor",
    "REVOKE EXECUTE ON FUNCTION tokens_issue_batch FROM agentidp_app": "may not call tokens_issue",
}


@pytest.mark.parametrize("statement", GRANTS)
def test_who_may_call_a_function_is_told_and_mended(owner: Any, statement: str) -> None:
    owner.execute(statement)
    try:
        with pytest.raises(ImproperlyConfigured, match=GRANTS[statement]):
            refuse_unsafe_start()
    finally:
        call_command("migrate", verbosity=0)
    refuse_unsafe_start()


def test_functions_of_a_newer_release_are_left_alone(owner: Any) -> None:
    owner.execute(
        "INSERT INTO django_migrations (app, name, applied) VALUES ('tokens', '9999_newer', now())"
    )
    owner.execute("ALTER FUNCTION tokens_live_agent STRICT")
    try:
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            left = [each.sentence for each in changed(cursor)]
    finally:
        owner.execute("DELETE FROM django_migrations WHERE name = '9999_newer'")
        call_command("migrate", verbosity=0)

    assert left == ["The function tokens_live_agent is not the one of this release"]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("RETURN (a)::text", "RETURN a", True),
        ("RETURN t.a", "RETURN a", True),
        ("RETURN evil.lower(a)", "RETURN lower(a)", False),
        ("RETURN 'a'::text || b", "RETURN 'b' || b", False),
        ("RETURN a OPERATOR(evil.||) b", "RETURN a || b", False),
        ("RETURN COALESCE(a, 'x  y')", "RETURN coalesce(a, 'x y')", False),
    ],
)
def test_what_postgresql_adds_to_a_body_is_passed_over(one: str, other: str, is_same: bool) -> None:
    assert (words(one) == words(other)) is is_same
