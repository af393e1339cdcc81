"""Long answers that are read from the database piece by piece.

A client may take a piece whenever it likes, or never, and very many may do so at once: between two
pieces nothing is kept but the place where the next one begins.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

PIECE = 32 * 1024
"""Bytes, or characters of text with at most one row more."""
ROWS_AT_ONCE = 50
"""That a cursor fetches."""

Row = TypeVar("Row")
Place = TypeVar("Place")


class Piece(NamedTuple, Generic[Place]):
    text: str
    last: Place | None
    """The place of its last row; None: there was none, and nothing follows."""


def gather(
    rows: Iterable[Row], line: Callable[[Row], str], place: Callable[[Row], Place]
) -> Piece[Place]:
    """The lines of as many rows as make a piece."""
    lines, size, last = [], 0, None
    for row in rows:
        lines.append(line(row))
        size += len(lines[-1])
        last = place(row)
        if size >= PIECE:
            break
    return Piece("".join(lines), last)


def in_pieces(read: Callable[[Place | None], Piece[Place]]) -> Iterator[str]:
    """The text of every piece. `read` gives the piece after a place, the first one after None; it
    opens what it needs and closes it again."""
    last = None
    while True:
        text, last = read(last)
        if last is None:
            return
        given = [text]
        del text
        yield given.pop()  # nothing of it stays here
