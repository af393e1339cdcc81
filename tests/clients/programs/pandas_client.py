"""Read every CSV file and check its columns and the types of dates and numbers."""

import json
import sys

import pandas

given = json.load(sys.stdin)
assert given["csv"]
for name, path in given["csv"].items():
    table = pandas.read_csv(path, encoding="utf-8-sig")
    assert len(table.columns) > 1, name
    for column in table.columns:
        values = table[column].dropna()
        if column in {"date", "startedAt", "endedAt", "started_at", "ended_at"} and len(values):
            pandas.to_datetime(values, format="ISO8601")
        if column.lower().endswith(("count", "tokens")) and len(values):
            assert pandas.api.types.is_numeric_dtype(values), (name, column)
filled = [name for name, path in given["csv"].items() if len(pandas.read_csv(path))]
assert len(filled) > 5, filled
