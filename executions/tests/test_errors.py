"""Errors become readable, and equal ones form groups."""

import pytest

from executions.errors import normalized, read_error

CHAINED = """Traceback (most recent call last):
  File "/opt/app/flows.py", line 3, in load
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/opt/venv/lib/python3.12/site-packages/runner/main.py", line 90, in run
  File "/opt/app/flows.py", line 9, in work
  File "/opt/venv/lib/python3.12/site-packages/client/http.py", line 5, in send
package.errors.ServiceError: 503 from upstream
try later
"""
KNOWN = """Traceback (most recent call last):
  File "/opt/app/flows.py", line 9, in work
kodosumi.error.KodosumiError: first line
second line
"""


def test_the_last_exception_of_a_traceback_counts() -> None:
    error = read_error(CHAINED)

    assert error.error_type == "ServiceError"
    assert error.message == "ServiceError: 503 from upstream\ntry later"
    assert error.place == "/opt/app/flows.py in work"


def test_what_the_author_says_to_people_is_shown_as_it_is() -> None:
    assert read_error(KNOWN).message == "first line\nsecond line"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actor not found", "actor not found"),
        ('{"error": "quota used up", "type": "Quota"}', "quota used up"),
        ('{"code": 7}', '{"code": 7}'),
        ("[" * 100_000, "[" * 1999 + "…"),
        ("", "The execution failed without a message."),
        ("Traceback (most recent call last):\nException: boom", "Exception: boom"),
        (r'{"error": "\u0000 and \ud800"}', "\ufffd and \ufffd"),
        ("Traceback (most recent call last):\n", "Traceback (most recent call last):"),
    ],
)
def test_other_texts(text: str, message: str) -> None:
    assert read_error(text).message == message


@pytest.mark.parametrize("line", ["A" * 200_000 + "!", "A." * 100_000 + "!", "Error" * 40_000])
def test_no_text_takes_long_to_read(line: str) -> None:
    # A pattern that tries again from every letter needs half an hour for each.
    assert len(read_error(line).error_type) <= 255
    assert read_error(f"Traceback (most recent call last):\n{line}").message


def test_groups_ignore_what_varies_and_nothing_else() -> None:
    one, two = (
        read_error(f"Lock {lock} of '{name}' expired at {when} in /srv/{name}/run.py")
        for lock, name, when in (
            ("aa00ae2d-8b62-46b6-9fb6-cb5b679ca865", "anna", 1795316099.89),
            ("0b6e6b0e-0d2c-4a53-9e53-0f5b4b0f1a11", "bert", 17),
        )
    )

    assert one.fingerprint("report") == two.fingerprint("report")
    assert one.fingerprint("report") != one.fingerprint("letter")
    assert one.fingerprint("report") != read_error("Lock lost").fingerprint("report")


def test_normalized_text_names_what_it_left_out() -> None:
    assert normalized("GET https://a.example/x failed 3 times for a@b.example") == (
        "GET <url> failed <number> times for <e-mail>"
    )
