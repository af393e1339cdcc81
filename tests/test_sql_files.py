"""The files of `<app>/sql/` equal the functions and triggers in the database, so they are always
current.
"""

import re
import subprocess
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from core import declared_triggers, function_protection
from core.sql_words import normalized, words

FILES = function_protection.files()
TRIGGERS = declared_triggers.files()
OF_OTHERS = "procrastinate"
"""A package whose functions come with its own migrations."""

TRIGGER_DEFINITIONS = """
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
WHERE NOT tgisinternal AND tgparentid = 0 AND NOT starts_with(tgrelid::regclass::text, %s)
"""
DEFINITIONS = """
SELECT p.oid::regprocedure::text, p.proname, pg_get_functiondef(p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass
    AND d.deptype = 'e'
)
"""


def definitions(owner: psycopg.Connection) -> dict[str, tuple[str, str]]:
    """The name and definition of each of our functions, by signature."""
    return {
        signature: (name, normalized(definition))
        for signature, name, definition in owner.execute(DEFINITIONS).fetchall()
        if not name.startswith(OF_OTHERS)
    }


def test_files_and_functions_are_the_same(owner: psycopg.Connection) -> None:
    """Reports functions without a file, files without a function, and differing texts."""
    migrated = definitions(owner)

    assert sorted(name for name, _ in migrated.values()) == sorted(file.stem for file in FILES)

    with owner.transaction(force_rollback=True):
        for file in FILES:
            owner.execute(file.read_bytes())
        written = definitions(owner)

    assert written.keys() == migrated.keys()
    assert {name: written[name] for name in written if written[name] != migrated[name]} == {}


def trigger_words(owner: psycopg.Connection) -> dict[str, list[str]]:
    """The words of each trigger, without the types that PostgreSQL adds."""
    rows = owner.execute(TRIGGER_DEFINITIONS, [OF_OTHERS]).fetchall()
    return {name: words(definition) for name, definition in rows}


def test_files_and_triggers_are_the_same(owner: psycopg.Connection) -> None:
    migrated = trigger_words(owner)

    assert sorted(migrated) == sorted(file.stem for file in TRIGGERS)

    with owner.transaction(force_rollback=True):
        for file in TRIGGERS:
            owner.execute(file.read_bytes())
        written = trigger_words(owner)

    assert written == migrated


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_what_its_one_function_decides(file: Path) -> None:
    text = file.read_text()

    assert text.startswith("-- ")
    assert re.findall(r"CREATE OR REPLACE FUNCTION (\w+)\(", text) == [file.stem]
    assert file.stem.startswith(f"{file.parts[-3]}_")
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("file", TRIGGERS, ids=lambda file: file.stem)
def test_the_file_of_a_trigger_says_why_and_lies_beside_its_function(file: Path) -> None:
    text = file.read_text()
    (function,) = re.findall(r"EXECUTE FUNCTION (\w+)\(\);\n$", text)

    assert text.startswith("-- ")
    assert declared_triggers.read(text).name == file.stem
    assert (file.parent.parent / f"{function}.sql").exists()
    assert max(map(len, text.splitlines())) <= 100


def test_a_file_without_a_trigger_is_told() -> None:
    with pytest.raises(ValueError, match="no trigger"):
        declared_triggers.read("-- Nothing.\n")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("a  =\n b", "a = b", True),
        ("a = 'b  c'", "a = 'b c'", False),
        ("a -- why  so\n= b", "a -- why so\n= b", False),
        ("a - b", "a  -  b", True),
        ("a - b", "a -- b", False),
        ("f( a )", "f(a)", True),
        ("f (a)", "f(a)", False),
    ],
)
def test_only_white_space_between_words_is_passed_over(one: str, other: str, is_same: bool) -> None:
    assert (normalized(one) == normalized(other)) is is_same


def make_sql(name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "sql", f"NAME={name}"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )


def test_make_prints_a_function() -> None:
    printed = make_sql("tokens_issue")

    assert printed.stdout == (settings.BASE_DIR / "tokens/sql/tokens_issue.sql").read_text()


def test_make_prints_a_trigger_after_a_function_of_its_name() -> None:
    folder, name = settings.BASE_DIR / "analytics/sql", "analytics_count_token_events"

    printed = make_sql(name)

    texts = [(folder / part / f"{name}.sql").read_text() for part in ("", "triggers")]
    assert printed.stdout == "".join(texts)


@pytest.mark.parametrize("name", ["tokens_issues", "", "../sql/tokens_issue"])
def test_make_says_that_there_is_no_such_function(name: str) -> None:
    printed = make_sql(name)

    assert printed.returncode
    assert not printed.stdout
    assert f'There is no SQL function or trigger "{name}".' in printed.stderr
