"""The export of the audit log, and the published script that verifies it independently."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from organizations.models import Organization
from organizations.tests.factories import record_event as record

AUDIT = "/api/v1/audit"
SCRIPT = Path(__file__).parents[2] / "docs" / "how-to" / "verify-audit-export.py"


@pytest.fixture
def reader(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(organization, scopes="audit:read")


def exported(client: Client, **query: Any) -> bytes:
    answer = client.get(f"{AUDIT}/export", query)
    assert answer["Content-Type"] == "application/jsonl; charset=utf-8"
    return b"".join(answer.streaming_content)


def test_the_export_holds_the_whole_log_and_itself(
    organization: Organization, other_organization: Organization, reader: Client
) -> None:
    for number in range(3):
        record(organization, note=f"naïve “quotes” \u2028 {number}", share=0.1, list=[1, None])
    record(other_organization, note="foreign")

    lines = [json.loads(line) for line in exported(reader).splitlines()]

    assert [line["sequence"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["action"] == "audit.exported"
    assert lines[0]["previousHash"] == "00" * 32
    assert all(line["organizationId"] == str(organization.pk) for line in lines)


def test_the_export_reads_in_batches(
    organization: Organization, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("organizations.audit.log.EXPORT_BATCH", 2)
    for _ in range(5):
        record(organization)

    lines = exported(reader, fromSequence=2).splitlines()

    assert [json.loads(line)["sequence"] for line in lines] == [2, 3, 4, 5, 6]


def check(content: bytes) -> str | None:
    namespace: dict[str, Any] = {"__name__": "verify"}
    exec(compile(SCRIPT.read_text(), str(SCRIPT), "exec"), namespace)  # noqa: S102
    problem: str | None = namespace["first_problem"](content.decode().split("\n"))
    return problem


@pytest.fixture
def export(organization: Organization, reader: Client) -> list[bytes]:
    for number in range(5):
        record(organization, note=f"naïve “quotes” {number}", share=1e22, nested={"b": 1, "a": []})
    return exported(reader).splitlines(keepends=True)


def test_the_published_script_accepts_an_untouched_export(export: list[bytes]) -> None:
    assert check(b"".join(export)) is None
    assert check(b"".join(export[2:])) is None


@pytest.mark.parametrize(
    ("how", "place"),
    [("edited", 3), ("removed", 4), ("swapped", 4), ("repeated", 4), ("rehashed", 4)],
)
def test_the_published_script_names_the_place(export: list[bytes], how: str, place: int) -> None:
    if how == "edited":
        export[2] = export[2].replace(b"quotes", b"Quotes")
    elif how == "removed":
        del export[2]
    elif how == "swapped":
        export[2], export[3] = export[3], export[2]
    elif how == "repeated":
        export.insert(3, export[2])
    else:
        edited = json.loads(export[2])
        edited["metadata"]["note"] = "other"
        export[2] = rehashed(edited)

    problem = check(b"".join(export))

    assert problem is not None
    assert f"event {place}" in problem


def forged(line: bytes, how: str) -> bytes:
    """The line with other bytes, while a careless reader finds the recorded values in it."""
    text = line.decode().rstrip("\n")
    note = json.loads(text)["metadata"]["note"]
    return {
        "name twice": '{"action":"org.deleted","ipAddress":"6.6.6.6",' + text[1:],
        "name twice, deep": text.replace('"metadata":{', '"metadata":{"note":"other",'),
        "spaces": text.replace(":", ": ", 1),
        "spaces before the end": text + " ",
        "carriage return": text + "\r",
        "order": json.dumps(dict(reversed(json.loads(text).items())), separators=(",", ":")),
        "escapes": text.replace("ï", "\\u00ef"),
        "an escaped letter": text.replace('"action"', '"\\u0061ction"'),
        "number": text.replace('"sequence":3', '"sequence":3e0'),
        "hash in capitals": text.replace(
            json.loads(text)["hash"], json.loads(text)["hash"].upper()
        ),
        "byte order mark": "\ufeff" + text,
        "another value": text.replace(note, "other"),
        "a name more": text[:-1] + ',"zone":"x"}',
        "depth": "[" * 100_000,
    }[how].encode() + b"\n"


@pytest.mark.parametrize(
    "how",
    [
        *("name twice", "name twice, deep", "spaces", "spaces before the end", "carriage return"),
        *("order", "escapes", "an escaped letter", "number", "hash in capitals"),
        *("byte order mark", "another value", "a name more", "depth"),
    ],
)
def test_the_published_script_refuses_a_line_that_was_not_exported(
    export: list[bytes], how: str
) -> None:
    changed = forged(export[2], how)
    assert changed != export[2]

    for lines in ([*export[:2], changed, *export[3:]], [changed]):
        problem = check(b"".join(lines))

        assert problem is not None
        assert problem.startswith(f"line {len(lines[:3])}")


def test_the_published_script_refuses_what_does_not_begin_as_it_was_exported(
    export: list[bytes],
) -> None:
    previous = json.loads(export[2])["previousHash"].encode()

    assert check(export[2]) is None
    assert check(export[2].replace(previous, previous.upper())) is not None
    assert check(export[2].replace(previous, previous[:2] + b" " + previous[2:])) is not None
    assert check(b"") == check(b"\n\n") == "there is no event"


def rehashed(line: dict[str, Any]) -> bytes:
    """Change a line as an editor who knows the format would, with its own hash correct.

    Only the next line reveals it.
    """
    previous, _ = line.pop("previousHash"), line.pop("hash")
    text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest()
    hashes = {"previousHash": previous, "hash": digest}
    text = json.dumps(line | hashes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def test_the_published_script_runs_alone(export: list[bytes], tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"".join(export))
    good = subprocess.run([sys.executable, "-I", SCRIPT, file], capture_output=True, check=False)
    file.write_bytes(b"".join(export[:2] + export[3:]))
    bad = subprocess.run([sys.executable, "-I", SCRIPT, file], capture_output=True, check=False)

    assert (good.returncode, bad.returncode) == (0, 1)
    assert len(SCRIPT.read_text().splitlines()) <= 60
