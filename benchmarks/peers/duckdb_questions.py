"""DuckDB answers the questions of benchmarks/analytics.py, for its own interpreter.

Each line of the standard input is a task as JSON, and each line of the output its answer. The
table is tuned as far as DuckDB allows: sorted by organization and time, few bytes a column, times
in UTC without a zone, and a file that is in memory after the first reading.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import duckdb

FILL = """
    CREATE TYPE outcome AS ENUM ('issued', 'refused', 'introspected');
    CREATE TYPE agent AS ENUM (
        SELECT DISTINCT agent FROM read_csv($file, header = false, columns = $columns) ORDER BY 1
    );
    CREATE TABLE events AS
    SELECT organization, moment, agent::agent AS agent, outcome::outcome AS outcome
    FROM read_csv($file, header = false, columns = $columns) ORDER BY organization, moment;
    CHECKPOINT;
"""
COLUMNS = """{
    'organization': 'SMALLINT', 'moment': 'TIMESTAMP', 'agent': 'VARCHAR', 'outcome': 'VARCHAR'
}"""
INSIDE = """WHERE organization = $organization
    AND moment >= $start::TIMESTAMP AND moment < $end::TIMESTAMP"""
TREND = f"""
    SELECT moment::DATE AS day, count(*) FROM events
    {INSIDE} AND outcome = 'issued' GROUP BY 1
"""  # noqa: S608 - no user input
# 1970-01-01 was a Thursday, and weeks start on Sunday, 96 hours earlier.
HEATMAP = f"""
    SELECT cell // 24, cell % 24, sum(count)::BIGINT
    FROM (SELECT (hour + 96) % 168 AS cell, count
          FROM (SELECT epoch_us(moment) // 3600000000 AS hour, count(*) AS count FROM events
                {INSIDE} AND outcome IN ('issued', 'refused') GROUP BY 1)) GROUP BY 1, 2
"""  # noqa: S608 - no user input
MONTH = f"""
    SELECT agent::VARCHAR, count(*) FROM events {INSIDE} AND outcome = 'issued' GROUP BY agent
"""  # noqa: S608 - no user input
QUESTIONS = {"trend": TREND, "heatmap": HEATMAP, "month": MONTH}


def fill(connection: Any, source: str) -> int:
    """Fill the table from CSV; return its number of rows."""
    quoted = f"'{source}'"
    for statement in FILL.split(";"):
        if statement.strip():
            connection.execute(statement.replace("$file", quoted).replace("$columns", COLUMNS))
    return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def main() -> None:
    folder = Path(sys.argv[1])
    connection = duckdb.connect(str(folder / "events.duckdb"))
    connection.execute("SET TimeZone = 'UTC'")
    for line in sys.stdin:
        task = json.loads(line)
        if task["question"] == "fill":
            answer: Any = {"rows": fill(connection, task["file"]), "version": duckdb.__version__}
        else:
            started = time.perf_counter()
            rows = connection.execute(QUESTIONS[task["question"]], task["values"]).fetchall()
            answer = {"ms": (time.perf_counter() - started) * 1000, "rows": rows}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
