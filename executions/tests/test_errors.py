"""Errors become readable, and similar ones form groups."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.profiling import calls
from executions import named_secrets, plain_words
from executions.errors import OPERATORS_ONLY, normalized, read_error
from executions.tests.traces import END_IS_KNOWN, TRACES

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
    assert error.message == "ServiceError: 503 from upstream"
    assert error.place == "/opt/app/flows.py in work"


def test_the_authors_message_to_people_is_shown_unchanged() -> None:
    assert read_error(KNOWN).message == "first line\nsecond line"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("actor not found", "actor not found"),
        ('{"error": "quota used up", "type": "Quota"}', "quota used up"),
        ('{"code": 7}', OPERATORS_ONLY),
        ('{"error": {"message": "quota used up", "trace": "x"}}', "quota used up"),
        ('{"message": "Traceback (most recent call last):\\n  cut', OPERATORS_ONLY),
        ("The sheet is empty.\nUpload another.", "The sheet is empty."),
        ("/srv/agents/flow.sh is gone\nand more", OPERATORS_ONLY),
        ("[Errno 2] No such file", "[Errno 2] No such file"),
        ("x " * 100_000, "x " * 999 + "x…"),
        ("x" * 100_000, "…"),
        ("[" * 100_000, OPERATORS_ONLY),
        ("", "The execution failed without a message."),
        ("Traceback (most recent call last):\nException: boom", "Exception: boom"),
        (r'{"error": "\u0000 and \ud800"}', "\ufffd and \ufffd"),
        ("Traceback (most recent call last):\n", OPERATORS_ONLY),
    ],
)
def test_other_texts(text: str, message: str) -> None:
    assert read_error(text).message == message


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Incorrect API key provided: swordfish.", "Incorrect API key provided: …."),
        ("Incorrect API key: sk-abcdefghijk is old", "Incorrect API key: …"),
        ("login to postgres://user:abc@db.example/x failed", "login to … failed"),
        ("401 for url https://a.example/v1?key=abc", "401 for url https://a.example/v1?key=…"),
        ("401 for url https://a.example/v1?name=abc", "401 for url https://a.example/v1?…"),
        ("db://h:1433;user=sa;password=letmein failed", "db://h:1433;user=sa;password=…"),
        ("sa;Password=hunter22;Server=db", "sa;Password=…"),
        ("<password>letmein</password> was refused", "<password>…"),
        ("net use z: /password:letmein failed", "net use z: /password:…"),
        ("X-Api-Key: abcdefgh rejected", "X-Api-Key: …"),
        ("no user {'password': 'abc', 'name': 'Anna'}", "no user …"),
        ("User(name='Anna', age=3) is unknown", "…"),
        ("row ['Anna', 3] is bad", "row …"),
        ("sent Authorization: Bearer abc", "sent Authorization: …"),
        ("Bearer abc.def.123 is over", "Bearer … is over"),
        ("password=swordfish is wrong", "password=…"),
        ("host=db port=5432 user=anna", "host=… port=5432 user=…"),
        ("the password for anna is: swordfish", "the password for anna is: …"),
        ("run --api-key swordfish -u admin:abc", "run --api-key … -u admin:…"),
        ("AKIAIOSFODNN7EXAMPLE is not allowed", "… is not allowed"),
        ("no such token: x", "no such token: …"),
        ("xoxb-123456789012-abcDEFabcDEF posted", "… posted"),
        ("anna@example.com has no account", "… has no account"),
        ("card 4111 1111 1111 1111 or 4111-1111-1111-1111", "card … or …"),
        ("IBAN DE89370400440532013000 is wrong", "IBAN … is wrong"),
        ("eyJhbGciOi.eyJzdWIiOiIx: x", "…: x"),
        ("BEGIN PRIVATE KEY MIIEvQIBADANBgkqhkiG9w0", "BEGIN PRIVATE KEY …"),
        ("Login failed: password is hunter2", "Login failed: password is …"),
        ("the pin was 4711", "the pin was …"),
        ("the password was 'swordfish', not right", "the password was '…', not right"),
        ("the password is not hunter2", "the password is not …"),
        ("password for ada is hunter2", "password for ada is …"),
        (
            "password of the user ada was changed to hunter2",
            "password of the user ada was changed to …",
        ),
        (
            "the token in the request has the value a-1b2",
            "the token in the request has the value …",
        ),
        ("token value is a-1b2, which is old", "token value is …, which is old"),
        (
            "Invalid value 'swordfish' for field 'password'",
            "Invalid value '…' for field 'password'",
        ),
        ("the secret that you sent was a-1b2", "the secret that you sent was …"),
        ("Authorization header is a-1b2", "Authorization header is …"),
        ("invalid password 'swordfish'", "invalid password '…'"),
        ("wrong password 'correct horse', try again", "wrong password '… …', try again"),
        ("no API key 'swordfish'", "no API key '…'"),
        ("the token was abcDEFgh", "the token was …"),
        ("the passphrase is correct-horse-battery", "the passphrase is …"),
        ("my password is swordfish", "my password is …"),
        ("with password correct horse battery staple", "with password … … … …"),
        ("the passphrase swordfish was rejected", "the passphrase … was rejected"),
        ("passwort swordfish ist falsch", "passwort … ist falsch"),
        ("Kennwort: swordfish", "Kennwort: …"),
        ("mot de passe swordfish", "mot de passe …"),
        ("contraseña: swordfish", "contraseña: …"),
        ("la clave es swordfish", "la clave es …"),
        ("a senha swordfish expirou", "a senha … …"),
        ("wachtwoord=swordfish", "wachtwoord=…"),
        ("hasło: swordfish", "hasło: …"),
        ("пароль: swordfish", "пароль: …"),
        ("secret phrase: apple banana cherry", "secret phrase: …"),
        ("seed phrase apple banana cherry", "seed phrase … … …"),
        ("recovery code apple-banana-cherry", "recovery code …"),
        ("mysql -u root -pswordfish failed", "mysql -u root … failed"),
        ("sshpass -p swordfish: no host", "sshpass -p …: no host"),
    ],
)
def test_a_value_in_one_line_is_not_for_everyone(line: str, shown: str) -> None:
    assert read_error(line).message == shown
    assert read_error(json.dumps({"error": line})).message == shown
    trace = f"Traceback (most recent call last):\npackage.Failed: {line}"
    assert read_error(trace).message == f"Failed: {shown}"


@pytest.mark.parametrize(
    "line",
    [
        "Token request failed: connection refused",
        "429 from the gateway after 5 attempts, waited 59 s (30.5%)",
        "Ticket 1234 was changed by another agent at 2026-11-29T10:00:00Z",
        "[Errno 111] Connection refused: ('10.4.3.7', 9100)",
        "time data '31/11/2026' does not match format '%d/%m/%Y'",
        'duplicate key value violates unique constraint "users_email_key"',
        "Lock aa00ae2d-8b62-46b6-9fb6-cb5b679ca865 expired at1795316099.8998983",
        "No module named 'studio.not_installed', see https://docs.example.com/modules/",
        "can't open /srv/agents/input_file.xlsx: it is empty",
        'cannot divide 7 by 0, see <config> & "docs"',
        "Der Bericht für \u201eMüller\u201c ist leer: Zeile 3 von 17",
        "報告書が見つかりません",
        "cannot cast int64 to utf8, HTTP404, std::string",
        "the password is wrong, and the token isn't valid",
        "the credentials are read-only, the key is None",
        "the token endpoint is https://idp.example.com/token, the key length is 2048",
        "Token was rejected with 401, status is 401",
        "the token is 3 days old, valid until 2026-11-29",
        "tokens used were 9000 of 10000, so there are none left",
        "failed to send token to agent-7, to which it was 2 times refused",
        "unexpected token 'else', missing key 'name'",
        "mkdir -p folder failed with exit code 7",
        "the key has expired, so the client must request another token",
    ],
)
def test_words_and_numbers_of_one_line_are_for_everyone(line: str) -> None:
    assert read_error(line).message == line


UNIQUE = [f"{chr(97 + number % 26)}{number}" for number in range(400)]
PIECES = {
    "a name of a secret": "a key [ ",
    "what says a value": "token for a is set to ",
    "names in parts": "pin.x=",
    "names": "k=v ",
    "signs": "key-",
    "different words": " ".join(UNIQUE),
    "different names": "the key " + "=x ".join(UNIQUE),
    "different paths": "the key " + "/x ".join(UNIQUE),
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=list(PIECES))
def test_no_line_is_much_work(piece: str) -> None:
    """Engines send a thousand errors at once, each with words of its own."""
    text = (piece * 1000)[:1000]
    named_secrets.word_of.cache_clear()
    plain_words._shown.cache_clear()

    assert calls(lambda: read_error(text).fingerprint()) < 4000


def test_of_a_line_of_values_everyone_reads_the_beginning() -> None:
    values = " ".join(f"agent-{number}" for number in range(100))

    assert read_error(f"lost {values}").message.endswith("agent-46 agent-47 …")
    assert read_error(f"no token for {values}").message.endswith("agent-43 agent-44 …")


@pytest.mark.parametrize("name", TRACES)
def test_only_a_recognized_line_is_for_everyone(name: str) -> None:
    text, message = TRACES[name]

    for written in (text, text.replace("\n", "\r\n"), f"{text}\n\n", f"\ufeff{text}"):
        assert read_error(written).message == (message or OPERATORS_ONLY)
    assert "s3cret" not in read_error(json.dumps({"error": text})).message
    assert "s3cret" not in read_error(json.dumps(text)).message
    assert "s3cret" not in read_error(text.replace("\n", " ")).message


@given(st.sampled_from(sorted(TRACES)), st.integers(0, 400))
def test_a_trace_that_was_cut_off_says_nothing_of_its_frames(name: str, length: int) -> None:
    text = TRACES[name][0]

    assert "s3cret" not in read_error(text[:length]).message
    assert name not in END_IS_KNOWN or "s3cret" not in read_error(text[-length:]).message


@pytest.mark.parametrize("line", ["A" * 200_000 + "!", "A." * 100_000 + "!", "Error" * 40_000])
def test_no_text_takes_long_to_read(line: str) -> None:
    # A pattern that restarts at every letter takes half an hour for each.
    assert len(read_error(line).error_type) <= 255
    assert read_error(f"Traceback (most recent call last):\n{line}").message


def test_groups_ignore_only_variable_parts() -> None:
    one, two = (
        read_error(f"Lock {lock} of '{name}' expired at {when} in /srv/{name}/run.py")
        for lock, name, when in (
            ("aa00ae2d-8b62-46b6-9fb6-cb5b679ca865", "anna", 1795316099.89),
            ("0b6e6b0e-0d2c-4a53-9e53-0f5b4b0f1a11", "bert", 17),
        )
    )

    assert one.fingerprint() == two.fingerprint() != read_error("Lock lost").fingerprint()


def test_normalized_text_has_placeholders_for_omitted_parts() -> None:
    assert normalized("GET https://a.example/x failed 3 times for a@b.example") == (
        "GET <url> failed <number> times for <e-mail>"
    )


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("can't read invoices, won't retry", "can't read invoices, won't retry"),
        ("no 'file that isn't there' here", "no <text> here"),
        ("The source \u201cStra\xdfe\u201d is empty", "The source <text> is empty"),
        (
            "429 (request req_9ef2b398f63e8d2c, after 59 s)",
            "<number> (request req_<id>, after <number> s)",
        ),
        ("job k3J9xQ of run-7f3a1c", "job <id> of run-<id>"),
        ("commit 5f1e0a9c", "commit <id>"),
        ("cannot cast int64 to utf8 in 30s", "cannot cast int<number> to utf<number> in <number>s"),
        ("read / write / delete and/or nothing", "read / write / delete and/or nothing"),
        ("/opt/agents/one/a.py is gone", "<path> is gone"),
        ("at 2026-11-29T02:51:11.123Z, because", "at <date>, because"),
        ("deadbeef and facade are words", "deadbeef and facade are words"),
    ],
)
def test_ids_are_left_out_and_words_stay(text: str, rest: str) -> None:
    assert normalized(text) == rest


WORDS = st.from_regex(r"[A-Za-z]{1,12}('(t|s|ll|re))?", fullmatch=True)
PREFIXES = st.from_regex(r"[a-z]{2,6}(_[a-z]{2,6})?[_-]", fullmatch=True)
IDS = st.text("0123456789abcdef", min_size=16, max_size=40)


@given(st.lists(WORDS, min_size=1, max_size=12))
def test_words_are_never_taken_for_values(words: list[str]) -> None:
    text = " ".join(words)

    assert normalized(text) == text


@given(PREFIXES, IDS, IDS)
def test_the_prefix_of_an_id_is_kept(prefix: str, one: str, another: str) -> None:
    assert normalized(f"lost {prefix}{one}.") == f"lost {prefix}<id>."
    assert normalized(f"{prefix}{one}") == normalized(f"{prefix}{another}")


@given(st.text(max_size=200))
def test_any_text_has_a_group_and_always_the_same_one(text: str) -> None:
    first, second = read_error(text), read_error(text)

    assert first.fingerprint() == second.fingerprint()
    assert len(first.fingerprint()) <= 40


@pytest.mark.parametrize("part", ["'a ", "a'", '"', "/", "a/", "1a", "(", "`", "\u2018a ", "-1"])
def test_no_text_takes_long_to_group(part: str) -> None:
    message = (part * 2000)[:2000]

    started = time.thread_time()
    normalized(message)

    assert time.thread_time() - started < 0.5


def test_messages_without_words_are_told_apart_by_their_place() -> None:
    trace = 'Traceback (most recent call last):\n  File "/srv/{}.py", line 3, in run\n{}'

    assert (
        read_error(trace.format("one", "KeyError: 'a'")).fingerprint()
        == read_error(trace.format("one", "KeyError: 'b'")).fingerprint()
        != read_error(trace.format("two", "KeyError: 'b'")).fingerprint()
    )
    assert (
        read_error(trace.format("one", "ValueError: the sheet is empty")).fingerprint()
        == read_error(trace.format("two", "ValueError: the sheet is empty")).fingerprint()
    )
