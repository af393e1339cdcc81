"""Rollups: tables of counted rows that triggers keep exact, each declared once.

A declaration says what is counted, by which columns, into which table. From it come the recount
that a rollup must equal and its correction, which adds what is missing. Adding is right whatever is
counted meanwhile, so that no writer waits for a recount.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from django.db import connection
from django.db.backends.utils import CursorWrapper

EXAMPLES = 20
"""Differing rows that are reported."""


@dataclass(frozen=True)
class Difference:
    """A rollup that differed from the recount: the number of its rows, and the first of them."""

    table: str
    rows: int
    examples: tuple[str, ...]


class _Row(NamedTuple):
    """A row that differs; `kept` and `counted` are its counts, then its newest times."""

    key: tuple[Any, ...]
    is_kept: bool
    is_counted: bool
    kept: tuple[Any, ...]
    counted: tuple[Any, ...]


@dataclass(frozen=True)
class Rollup:
    """How the rows of `source` are counted into `table`.

    Its statements see only the organization in scope, whose id is among the columns of `key`.
    """

    table: str
    source: str
    key: Mapping[str, str]
    """The columns that are counted by, each as SQL over a row of the source."""
    counts: Mapping[str, str]
    """The columns that count, each as an SQL aggregate over rows of the source."""
    newest: Mapping[str, str] = field(default_factory=dict)
    """The columns that hold the newest time, each as an SQL aggregate."""
    where: str = "true"
    """Which rows of the source are counted."""
    kept: str = "true"
    """Which rows of the table equal that count; others count what is no longer in the source."""
    changes: str = ""
    """What is not yet added up into `table`: a table or subquery with the same columns."""
    lock: str = ""
    """The SQL function's lock under which changes are added up. Writers do not wait for it."""

    def correct(self) -> Difference | None:
        """Compare with a recount and add what is missing.

        Call it in a transaction of its own, in the organization's scope, and never twice at once
        for the same organization: both would add what is missing.
        """
        if self.lock:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_xact_lock({self.lock})")
        found = self._compare()
        self._add(found)
        if not found:
            return None
        return Difference(self.table, len(found), tuple(map(_in_words, found[:EXAMPLES])))

    def _compare(self) -> list[_Row]:
        """The rows that differ, in the order of their keys. One statement sees one moment."""
        last_of_key, width = len(self.key), len(self.counts) + len(self.newest)
        with connection.cursor() as cursor:
            cursor.execute(self._comparison)
            return [
                _Row(
                    key=row[:last_of_key],
                    is_kept=row[last_of_key],
                    is_counted=row[last_of_key + 1],
                    kept=row[-2 * width : -width],
                    counted=row[-width:],
                )
                for row in cursor.fetchall()
            ]

    @cached_property
    def _comparison(self) -> str:
        key, counts, newest = ", ".join(self.key), list(self.counts), list(self.newest)
        groups = ", ".join(str(n + 1) for n in range(len(self.key)))
        columns = ", ".join([*self.key, *counts, *newest])
        values = {**self.key, **self.counts, **self.newest}
        tables = [self.table, self.changes] if self.changes else [self.table]
        all_kept = " UNION ALL ".join(f"SELECT {columns} FROM {each}" for each in tables)  # noqa: S608
        kept = [f"coalesce(kept.{name}, 0)" for name in counts]
        kept += [f"kept.{name}" for name in newest]
        counted = [f"coalesce(counted.{name}, 0)" for name in counts]
        counted += [f"counted.{name}" for name in newest]
        return f"""
            WITH counted AS (
                SELECT {", ".join(f"{sql} AS {name}" for name, sql in values.items())}
                FROM {self.source} WHERE {self.where} GROUP BY {groups}
            ), kept AS (
                SELECT {key}, {
            ", ".join(
                [f"sum({name}) AS {name}" for name in counts]
                + [f"max({name}) AS {name}" for name in newest]
            )
        }
                FROM ({all_kept}) AS every WHERE {self.kept} GROUP BY {key}
            )
            SELECT {key}, kept.{counts[0]} IS NOT NULL, counted.{counts[0]} IS NOT NULL,
                {", ".join(kept)}, {", ".join(counted)}
            FROM kept FULL JOIN counted USING ({key})
            WHERE ({", ".join(kept)}) IS DISTINCT FROM ({", ".join(counted)})
            ORDER BY {key}
        """  # noqa: S608 - no user input

    def _add(self, found: list[_Row]) -> None:
        """Add what rows lack."""
        with connection.cursor() as cursor:
            if self.changes:  # which may hold what is wrong, and stay as they are
                cursor.executemany(self._upsert, [[*row.key, *self._missing(row)] for row in found])
                cursor.executemany(self._removal, [row.key for row in found])
                return
            # In the order of their keys, in which all lock them.
            for is_kept, rows in groupby(found, key=attrgetter("is_kept")):
                if is_kept:
                    self._update_rows(cursor, list(rows))
                else:
                    cursor.executemany(self._upsert, [[*row.key, *row.counted] for row in rows])

    def _update_rows(self, cursor: CursorWrapper, rows: list[_Row]) -> None:
        values = [[*self._missing(row), *self._times(row), *row.key] for row in rows]
        cursor.executemany(self._update, values)
        cursor.executemany(self._removal, [row.key for row in rows if not row.is_counted])

    def _missing(self, row: _Row) -> list[Any]:
        number = len(self.counts)
        pairs = zip(row.kept[:number], row.counted[:number], strict=True)
        return [counted - kept for kept, counted in pairs]

    def _times(self, row: _Row) -> list[Any]:
        """For each newest time: the one that is wrong, and twice the right one."""
        number = len(self.counts)
        right = row.counted if row.is_counted else row.kept
        pairs = zip(row.kept[number:], right[number:], strict=True)
        return [time for kept, counted in pairs for time in (kept, counted, counted)]

    @cached_property
    def _upsert(self) -> str:
        columns = [*self.key, *self.counts, *self.newest]
        values = ", ".join(["%s"] * len(columns))
        sums = [f"{name} = known.{name} + excluded.{name}" for name in self.counts]
        sums += [f"{name} = greatest(known.{name}, excluded.{name})" for name in self.newest]
        conflict = f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {', '.join(sums)}"
        known = f"{self.table} AS known ({', '.join(columns)})"
        return f"INSERT INTO {known} VALUES ({values}) {conflict}"  # noqa: S608 - no user input

    @cached_property
    def _update(self) -> str:
        sums = [f"{name} = {name} + %s" for name in self.counts]
        # A writer may have come with a later time since.
        case = "CASE WHEN {0} IS NOT DISTINCT FROM %s THEN %s ELSE greatest({0}, %s) END"
        sums += [f"{name} = {case.format(name)}" for name in self.newest]
        return f"UPDATE {self.table} SET {', '.join(sums)} WHERE {self._is_its_key}"  # noqa: S608

    @cached_property
    def _removal(self) -> str:
        is_empty = " AND ".join(f"{name} = 0" for name in self.counts)
        return f"DELETE FROM {self.table} WHERE {self._is_its_key} AND {is_empty}"  # noqa: S608

    @property
    def _is_its_key(self) -> str:
        return " AND ".join(f"{name} = %s" for name in self.key)


def _in_words(row: _Row) -> str:
    kept = _values(row.key + row.kept) if row.is_kept else "nothing"
    counted = _values(row.key + row.counted) if row.is_counted else "nothing"
    return f"kept {kept}; counted {counted}"


def _values(values: tuple[Any, ...]) -> str:
    return ", ".join(f"{each:f}" if isinstance(each, Decimal) else str(each) for each in values)
