"""A data folder as kodosumi 1.1.0 writes it, for its own dashboard and for our import."""

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

PEOPLE = 20
DAYS = 30
EVENTS = 20
FAILED, RUNNING, AWAITING = 0.07, 0.02, 0.01
NEWEST = 1000
"""How many of the newest executions may be live; what is live does not grow with the history."""
FLOWS = (
    *("Weekly report", "Text to Markdown", "Resume screening", "Invoice check", "Research team"),
    *("Approval", "Translate", "Summarise calls", "Price watch", "Long job"),
)
ROLES = """
    CREATE TABLE roles (id CHAR(32) NOT NULL PRIMARY KEY, name VARCHAR NOT NULL UNIQUE,
        email VARCHAR NOT NULL UNIQUE, active BOOLEAN NOT NULL, password VARCHAR NOT NULL,
        operator BOOLEAN NOT NULL)
"""
MONITOR = """
    CREATE TABLE monitor (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL,
        kind TEXT NOT NULL, message TEXT NOT NULL)
"""
TRACE = """Traceback (most recent call last):
  File "/opt/agents/venv/lib/python3.12/site-packages/kodosumi/runner/main.py", line 70, in run
    await self.start()
  File "/opt/agents/venv/lib/python3.12/site-packages/kodosumi/runner/main.py", line 158, in start
    result = await obj(*bound_args.args, **bound_args.kwargs)
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/opt/agents/svc/studio/flows.py", line 132, in {function}
    raise ValueError(f"row {{row}} has no amount")
ValueError: row {row} has no amount
"""


def write_folder(folder: Path, number: int, now: float) -> None:
    """Write `number` executions of 20 people, evenly distributed over the last 30 days."""
    chance = random.Random(number)  # noqa: S311 - the same folder every time
    people = [UUID(int=chance.getrandbits(128), version=4) for _ in range(PEOPLE)]
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "admin.db") as roles:
        roles.execute(ROLES)
        roles.executemany(
            "INSERT INTO roles VALUES (?, ?, ?, 1, '', 0)",
            [(key.hex, f"person{n}", f"person{n}@example.com") for n, key in enumerate(people)],
        )
    roles.close()
    for index in range(number):
        start = now - DAYS * 86_400 * (number - index) / number + chance.random()
        fid = f"{int(start):08x}{index:016x}"
        person = chance.choice(people)
        place = folder / "execution" / str(person) / fid
        place.mkdir(parents=True)
        _write_database(
            place / "sqlite3.db",
            list(_rows(chance, fid, person, start, may_live=index >= number - NEWEST)),
        )
        if index % 5 == 0:
            (place / "out").mkdir()
            (place / "out" / "report.md").write_text("# done\n")


def _write_database(path: Path, rows: list[tuple[float, str, str]]) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(MONITOR)
    database.execute("BEGIN")
    database.executemany("INSERT INTO monitor (timestamp, kind, message) VALUES (?, ?, ?)", rows)
    database.execute("COMMIT")
    database.close()


def _rows(
    chance: random.Random, fid: str, person: UUID, start: float, *, may_live: bool
) -> Iterator[tuple[float, str, str]]:
    flow = chance.choice(FLOWS)
    entry = flow.lower().replace(" ", "_")
    meta = {
        "fid": fid,
        "username": str(person),
        "app_url": "http://localhost:8200",
        "panel_url": "http://localhost:3370",
        "entry_point": f"studio.flows:{entry}",
        "kodosumi": "1.1.0",
        "tags": ["demo", "text"],
        "summary": flow,
        "description": f"What {flow} does",
        "deprecated": None,
        "author": "a@example.com",
        "organization": "Example Studio",
        "version": "0.3.1",
    }
    luck, pace = chance.random(), chance.expovariate(1 / 3)
    if luck < FAILED:
        trace = TRACE.format(function=entry, row=chance.randrange(1000))
        ends = [("error", trace), ("status", "error")]
    elif may_live and luck < FAILED + AWAITING:
        ends = [("lock", json.dumps({"dict": {"name": "approve", "lid": fid, "expires": start}}))]
    elif may_live and luck < FAILED + AWAITING + RUNNING:
        ends = []
    else:
        final = {"Markdown": {"body": "# Report\n\nAll done.\n" * 5}}
        ends = [("final", json.dumps(final)), ("status", "finished")]
    events = [
        ("status", "starting"),
        ("inputs", json.dumps({"dict": {"text": f"input of {fid}"}})),
        ("meta", json.dumps({"dict": meta})),
        ("status", "running"),
    ]
    while len(events) + len(ends) < EVENTS:
        kind = chance.choice(["stdout", "debug", "result"])
        text = f"step {len(events)} of {flow}: " + "lorem ipsum " * 5
        events.append((kind, json.dumps({"Text": {"body": text}}) if kind == "result" else text))
    for kind, message in [*events, *ends]:
        yield start, kind, message
        start += chance.random() * pace
