"""Read every CSV file with automatic detection of its format."""

import json
import sys

import duckdb

given = json.load(sys.stdin)
assert given["csv"]
for name, path in given["csv"].items():
    table = duckdb.read_csv(path, header=True)
    with open(path, encoding="utf-8-sig", newline="") as file:
        columns = file.readline().strip().split(",")
    assert table.columns == columns, (name, table.columns)
    types = dict(zip(table.columns, map(str, table.types), strict=True))
    for column, found in types.items():
        if table.aggregate(f'count("{column}")').fetchall()[0][0] == 0:
            continue  # no values from which to detect the type
        if column.lower().endswith(("count", "tokens")):
            assert found in {"BIGINT", "DOUBLE"}, (name, column, found)
        if column == "date":
            assert found == "DATE", (name, column, found)
