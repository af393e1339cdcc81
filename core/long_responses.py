"""Long responses that are read from the database piece by piece.

Very many clients may read slowly, or stop reading: between two pieces nothing is kept except the
position of the next one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

PIECE = 32 * 1024
"""Bytes, or characters of text rounded up to a whole row."""
ROWS_PER_FETCH = 50
"""Rows per fetch of a cursor."""

Row = TypeVar("Row")
Place = TypeVar("Place")


class Piece(NamedTuple, Generic[Place]):
    text: str
    last: Place | None
    """The position of its last row. None if there was no row: nothing follows."""


def gather(
    rows: Iterable[Row], line: Callable[[Row], str], place: Callable[[Row], Place]
) -> Piece[Place]:
    """The lines of as many rows as fill a piece."""
    lines, size, last = [], 0, None
    for row in rows:
        lines.append(line(row))
        size += len(lines[-1])
        last = place(row)
        if size >= PIECE:
            break
    return Piece("".join(lines), last)


def in_pieces(read: Callable[[Place | None], Piece[Place]]) -> Iterator[str]:
    """Yield the text of every piece.

    `read` returns the piece after a position (the first after None), and must close whatever it
    opens.
    """
    last = None
    while True:
        text, last = read(last)
        if last is None:
            return
        given = [text]
        del text
        yield given.pop()  # keep no reference to the piece
