"""DuckDB with the same events, as a process of its own with its own environment."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from benchmarks.analytics_data import export
from benchmarks.machine import HERE, WORK, virtual_environment


class DuckDB:
    """Answers questions in its process and measures itself, without the pipe between us."""

    version = ""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(
        self, kind: str, start: datetime, end: datetime, organization: int = 0
    ) -> tuple[list[list[Any]], float]:
        """The rows that answer a "trend", "heatmap" or "month", and milliseconds."""
        edges = {"start": plain(start), "end": plain(end), "organization": organization}
        answer = self.call(question=kind, values=edges)
        return answer["rows"], answer["ms"]

    def call(self, **task: Any) -> dict[str, Any]:
        """Send a task; return the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("DuckDB's process has no pipes.")
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("DuckDB's process has ended.")
        answer: dict[str, Any] = json.loads(line)
        return answer


def plain(moment: datetime) -> str:
    """The moment in UTC without its zone."""
    return moment.isoformat().removesuffix("+00:00")


@contextmanager
def duckdb(name: str) -> Iterator[DuckDB]:
    """A process with a database that has all events, exported from PostgreSQL."""
    python = virtual_environment("duckdb", HERE / "peers" / "duckdb-requirements.txt")
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    process = subprocess.Popen(
        [python, HERE / "peers" / "duckdb_questions.py", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        peer = DuckDB(process)
        export(folder / "events.csv")
        peer.version = peer.call(question="fill", file=str(folder / "events.csv"))["version"]
        (folder / "events.csv").unlink()
        yield peer
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
