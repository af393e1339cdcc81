"""The one form in which texts are compared: in memory, in stored rows and in the database."""

import unicodedata
from importlib import import_module

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from core.text import (
    MARKS,
    comparable,
    normalized,
    normalized_password,
    same,
)
from executions.models import ExecutionFile
from executions.tests.factories import make_execution, make_file
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tests.unicode_texts import COMPOSED, DECOMPOSED

MIGRATION = import_module("executions.migrations.0017_normalized_text")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (DECOMPOSED, COMPOSED),
        ("\u212b", "\u00c5"),  # ANGSTROM SIGN
        ("\u1100\u1161", "\uac00"),
        ("\u0958", "\u0915\u093c"),  # is longer in NFC
        ("\ufb01", "\ufb01"),  # a ligature is a different text: NFKC is not used
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_the_form(text: str, form: str) -> None:
    assert normalized(text) == form
    assert normalized(form) == form
    assert same(text, form)


def test_half_of_a_character_has_no_form() -> None:
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        normalized("a\ud83d")


def test_a_password_keeps_its_case_and_its_ligatures() -> None:
    assert normalized_password("A\u3000b \ufb01") == "A b \ufb01"
    assert normalized_password(DECOMPOSED) == COMPOSED
    assert comparable("É") == "é"


def test_stored_texts_are_normalized_by_the_migration(
    organization: Organization, other_organization: Organization
) -> None:
    """Of two files whose names look the same, the normalized one keeps its name."""
    execution, other = make_execution(organization), make_execution(other_organization)
    for each, path in ((execution, "a"), (execution, "b"), (execution, "c"), (other, "d")):
        make_file(each, "out", path)
    with connection.cursor() as cursor:
        for each, path, name in (
            (execution, "a", DECOMPOSED),
            (execution, "b", f"{DECOMPOSED}.txt"),
            (execution, "c", f"{COMPOSED}.txt"),
            (other, "d", DECOMPOSED),
        ):
            with organization_scope(each.organization_id):
                statement = "UPDATE executions_executionfile SET path = %s WHERE path = %s"
                cursor.execute(statement, [name, path])
        cursor.execute(MIGRATION.EXECUTIONFILE)

    found = []
    for place in (organization, other_organization):
        with organization_scope(place):
            found.append(set(ExecutionFile.objects.values_list("path", flat=True)))
    assert found == [{COMPOSED, f"{DECOMPOSED}.txt", f"{COMPOSED}.txt"}, {COMPOSED}]


@given(
    st.text(st.sampled_from(f"{MARKS}ae\u00e9\u1e69\uac00\u1100\u1161\u11a8\u0958"), max_size=200)
)
def test_long_runs_of_combining_characters_are_normalized_as_all_others(text: str) -> None:
    assert normalized(text) == unicodedata.normalize("NFC", text)
    assert normalized(text * 40) == unicodedata.normalize("NFC", text * 40)


def test_all_combining_characters_are_known() -> None:
    every = map(chr, (*range(0xD800), *range(0xE000, 0x110000)))
    decomposed = ((each, unicodedata.normalize("NFD", each)) for each in every)
    moved = {each for each, plain in decomposed if unicodedata.combining(plain[0])}

    assert moved == set(MARKS)
    assert all(map(unicodedata.combining, unicodedata.normalize("NFD", MARKS)))


NORMALIZED_IN_DATABASE = "SELECT organizations_normalized(%s)"
MAYBE_MARKS = """
SELECT i FROM generate_series(768, 131071) i WHERE i NOT BETWEEN 55296 AND 57343 AND (
    position(chr(820) IN normalize('x' || chr(i) || chr(820), NFD)) = 2
    OR position(chr(837) IN normalize('x' || chr(837) || chr(i), NFD)) <> 2
)
"""
"""Code points that PostgreSQL moves: before one of class 240, or behind one of class 1."""
NORMALIZED_RUNS = """
SELECT i FROM unnest(%s::int[]) i, LATERAL (SELECT 'e' || chr(769) || repeat(chr(i), 31)) _(run)
WHERE organizations_normalized(run) <> run
"""


def test_the_database_leaves_long_runs_of_combining_characters_as_they_are(db: None) -> None:
    """Of its own version of Unicode, and of any later one: what that adds has no category yet."""
    unassigned = [code for code in range(0x300, 0x20000) if unicodedata.category(chr(code)) == "Cn"]
    with connection.cursor() as cursor:
        cursor.execute(MAYBE_MARKS)
        marks = [code for (code,) in cursor.fetchall()]
        cursor.execute(NORMALIZED_RUNS, [[*marks, *map(ord, MARKS), *unassigned]])
        normalized_runs = cursor.fetchall()

    assert len(marks) >= 900
    assert normalized_runs == []


@pytest.mark.parametrize(
    "text", [COMPOSED * 99, "\uac00" * 99, "\u304c" * 99, "\u1ead" * 99, "\u0e33\xe9" * 99]
)
def test_the_database_normalizes_other_texts(db: None, text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(NORMALIZED_IN_DATABASE, [unicodedata.normalize("NFD", text)])

        assert cursor.fetchone() == (text,)
