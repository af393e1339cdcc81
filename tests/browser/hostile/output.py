"""Hostile output of agents, introduced in every possible way."""

import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from executions.tests.vectors import VECTORS, traced
from tests.browser.engine import Engine
from tests.spooler import USER, fid_of, new_data, write_execution

NUMBERED = {number: traced(vector, number) for number, vector in enumerate(VECTORS.values(), 1)}
NAMES = dict(enumerate(VECTORS, 1))
FORMS = ("markdown", "html", "text", "link", "task", "step", "value")
AGENTS = 20
IMPORTED, ENORMOUS = fid_of(1001), fid_of(2001)
MEGABYTE = 1_000_000
TERMINAL = "\x1b]0;title\x07\x1b[2J\x1b[10;10H\x1b]8;;https://x\x07link\x1b]8;;\x07\x9b\x07"


def seen(number: int, where: str) -> str:
    """Harmless text placed before a vector, to check that it was displayed."""
    return f"seen {number:02} {where}"


def forms(number: int, vector: str) -> dict[str, Any]:
    """A value with the vector in all the forms that become HTML."""

    def text(form: str) -> str:
        return f"{seen(number, form)}\n\n{vector}"

    return {
        "__list__": [
            {"Markdown": {"body": text("markdown")}},
            {"HTML": {"body": text("html")}},
            {"Text": {"body": text("text")}},
            {"Link": {"url": vector, "title": text("link")}},
            {"TaskOutput": {"name": text("task"), "agent": vector, "raw": vector}},
            {"ToolResult": {"tool": text("step"), "result": vector}},
            {vector: text("value")},
        ]
    }


@dataclass(frozen=True)
class Reported:
    """An execution that reports every vector in every kind of event."""

    id: str
    counts: Counter[str]
    """The number of events of each kind."""


def report(engine: Engine) -> Reported:
    everything = {vector: f"{seen(n, 'input')} {vector}" for n, vector in NUMBERED.items()}
    execution = engine.start(
        summary=NUMBERED[1],
        description="\n".join(NUMBERED.values()),
        tags=[vector[:64] for vector in NUMBERED.values() if vector.strip() == vector][:32],
        inputs=everything,
    )
    reports: list[tuple[str, Any]] = []
    for number, vector in NUMBERED.items():
        reports.append(("result", forms(number, vector)))
        word, name = ("agent", "role") if number % 2 else ("task", "name")
        if number <= AGENTS:
            reports.append(("agent", {"dict": {word: {name: f"{seen(number, word)} {vector}"}}}))
        for kind in ("stdout", "stderr", "debug"):
            reports.append(
                (kind, f"\x1b[31m{seen(number, kind)}\x1b[0m {vector}\x1b]0;{vector}\x07")
            )
    for number in range(1, len(NUMBERED) + 1, 5):
        vectors = [NUMBERED[n] for n in range(number, number + 5) if n in NUMBERED]
        said = f"{seen(number, 'error')} {' '.join(vectors)}"
        reports.append(("error", f"Traceback (most recent call last):\n{said}\nValueError: {said}"))
    reports.append(("lock", {"dict": {"name": NUMBERED[3], "lid": "l", "data": everything}}))
    reports.append(("lease", {"dict": {"name": NUMBERED[3], "lid": "l", "result": everything}}))
    reports.append(("final", {"__list__": [forms(*each) for each in NUMBERED.items()]}))
    engine.report(execution, *reports)
    for name in ("<img src=x onerror=console.info(4711001)>.svg", "'\"><script>.html"):
        engine.make_file(execution, name, b"<script>console.info(4711001)</script>")
    engine.finish(execution)
    return Reported(execution, Counter(kind for kind, _ in reports))


def write_deployment(folder: Path) -> Path:
    """A kodosumi data folder with flows, a user and files named after the vectors."""
    data = new_data(folder)
    with closing(sqlite3.connect(data / "admin.db")) as database:
        database.execute("UPDATE roles SET name = ?", [NUMBERED[1]])
        database.commit()
    start = time.time() - 300
    for number, vector in NUMBERED.items():
        name = f"hostile {seen(number, 'name')} {vector}"
        reports = [
            ("status", "running"),
            ("meta", json.dumps({"dict": {"summary": name, "author": vector, "tags": [vector]}})),
            (vector[:32], vector),
            ("final", json.dumps({"Text": {"body": vector}})),
            ("status", "finished"),
        ]
        rows = [(start + place / 8, *each) for place, each in enumerate(reports)]
        write_execution(data, fid_of(1000 + number), rows)
    files = data / "execution" / USER / IMPORTED / "out"
    files.mkdir()
    for number, vector in NUMBERED.items():
        short = vector.replace("/", "\N{DIVISION SLASH}").encode()[:180].decode(errors="ignore")
        (files / f"{seen(number, 'file')} {short}").write_text(vector)
    return data


def write_enormous(data: Path) -> None:
    """A run that writes ten megabytes at a time, and bytes that are not text."""
    noise = bytes(range(256)) * 4 + b"\xff\xed\xa0\x80\x00 the end of the noise"
    reports: list[tuple[str, Any]] = [
        ("status", "running"),
        ("meta", json.dumps({"dict": {"summary": "Enormous", "author": "a" * MEGABYTE}})),
        ("inputs", json.dumps({"dict": {f"name {n}": "x" * 3_000 for n in range(300)}})),
        ("stdout", "x" * 10 * MEGABYTE),
        ("stdout", f"before {TERMINAL}after"),
        ("stderr", noise),
        ("result", noise),
        ("error", "ValueError: " + "e" * 10 * MEGABYTE),
        *[("action", json.dumps({"HTML": {"body": "<p>x" * 9_000}}))] * 30,
        *[("action", json.dumps({"Markdown": {"body": "- a\n" * 4_000}}))] * 30,
        ("action", json.dumps({"HTML": {"body": "<div>" * 2 * MEGABYTE}})),
        ("action", json.dumps({"Markdown": {"body": "> " * 5 * MEGABYTE}})),
        ("final", json.dumps({"HTML": {"body": "<b>" * 4 * MEGABYTE}})),
        ("status", "finished"),
    ]
    start = time.time() - 300
    write_execution(data, ENORMOUS, [(start + n, *each) for n, each in enumerate(reports)])


def frames(vectors: dict[int, str]) -> str:
    """A page that shows each unsanitized vector in a document of its own."""
    each = "".join(
        f'<iframe width="110" height="90" srcdoc="{escape(seen(n, "raw") + " " + vector)}">'
        "</iframe>"
        for n, vector in vectors.items()
    )
    return f"<!doctype html><title>Raw</title>{each}"
