"""How many places a table's grid has, among which a browser sets its cells.

A cell may span a thousand columns and all rows that follow, so that a table of 200 KB had a grid of
billions of places: whoever opened the page waited for minutes, and their browser took gigabytes.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

MAX_GROWTH, MAX_SMALL_GROWTH = 50, 1_000
"""By how many times the number of cells, and how many places, grids may exceed them. Some write
`colspan="100"` for a cell as wide as its table.
"""
MAX_COLUMNS, MAX_ROWS = 1000, 65_534
"""What one cell may span, according to the HTML Standard."""
TAG = re.compile(r'<(/?)([a-z0-9]+)((?: [a-z]+="[^"]*")*)>')
"""As nh3 writes tags: `<` in text is escaped."""
SPAN = re.compile(r' (col|row)span="[\t\n\f\r ]*\+?0*([0-9]*)')


def has_vast_grids(html: str) -> bool:
    """Whether the tables in HTML that nh3 wrote have grids far larger than their content."""
    if "span=" not in html and "<tr" not in html:
        return False
    places = cells = 0
    tables: list[_Grid] = []
    for is_closing, name, attributes in TAG.findall(html):
        if name == "table" and not is_closing:
            tables.append(_Grid())
        elif tables and name == "table":
            places += tables.pop().places
        elif tables and name == "tr" and not is_closing:
            tables[-1].begin_row()
        elif tables and name in {"td", "th"} and not is_closing:
            cells += 1
            tables[-1].add_cell(*_spans_of(attributes))
    return places > MAX_GROWTH * cells + MAX_SMALL_GROWTH


@dataclass
class _Grid:
    """The grid of one table, as far as it was read: never smaller than the one of a browser."""

    rows: int = 0
    columns: int = 0
    _own: int = 0
    """Columns of the cells that began in this row, and of those that began earlier."""
    _earlier: int = 0
    _spanning: int = 0
    _ends: Counter[int] = field(default_factory=Counter)
    """Columns that are free again, by the row from which on they are."""

    def begin_row(self) -> None:
        self.rows += 1
        self._earlier += self._spanning - self._ends.pop(self.rows, 0)
        self._own = self._spanning = 0

    def add_cell(self, columns: int, rows: int) -> None:
        self._own += columns
        self.columns = max(self.columns, self._own + self._earlier)
        if rows > 1:
            self._spanning += columns
            self._ends[self.rows + rows] += columns

    @property
    def places(self) -> int:
        return self.rows * self.columns


def _spans_of(attributes: str) -> tuple[int, int]:
    """How many columns and rows a cell spans."""
    found = dict(SPAN.findall(attributes))
    columns, rows = (found.get(name) for name in ("col", "row"))
    # A colspan of 0 means 1, a rowspan of 0 all rows that follow.
    all_rows = rows == "" and re.search(r' rowspan="[\t\n\f\r ]*\+?0', attributes)
    return (
        _number(columns, MAX_COLUMNS),
        MAX_ROWS if all_rows else _number(rows, MAX_ROWS),
    )


def _number(digits: str | None, most: int) -> int:
    return min(int(digits[:6]), most) if digits else 1
