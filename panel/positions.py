"""The positions of /timeline/changes as their clients see them.

A position counts the transactions of the whole database (panel/timeline_items.py), and so says how
busy other organizations are. It is therefore encrypted, for each organization in its own way: a
client can only send it back. It remains a number, as in kodosumi.
"""

import hmac
from uuid import UUID

from django.conf import settings

from panel.timeline_items import FIRST_POSITION

HALF_BITS = 26
"""A position has two halves: together with FIRST_POSITION it stays below 2**53."""
HALF = 2**HALF_BITS
ROUNDS = range(8)
UNKNOWN = FIRST_POSITION + HALF * HALF
"""Beyond all positions; from there a client begins anew."""


class Positions:
    """Encrypts positions with a Feistel network, whose result is as long as its input."""

    def __init__(self, organization: UUID) -> None:
        name = f"positions of {organization}".encode()
        self._key = hmac.digest(settings.SECRET_KEY.encode(), name, "sha256")

    def write(self, position: float) -> float:
        """The position for a client. A time, which is smaller, stays as it is."""
        if position < FIRST_POSITION:
            return position
        left, right = divmod(int(position) - FIRST_POSITION, HALF)
        for number in ROUNDS:
            left, right = right, left ^ self._mixed(number, right)
        return FIRST_POSITION + left * HALF + right

    def read(self, value: float) -> float:
        """The position that a client sends back. One that was never given out lies, except by a
        chance of one in millions, beyond all positions.
        """
        if value < FIRST_POSITION:
            return value
        left, right = divmod(int(value) - FIRST_POSITION, HALF)
        if left >= HALF:
            return UNKNOWN
        for number in reversed(ROUNDS):
            left, right = right ^ self._mixed(number, left), left
        return FIRST_POSITION + left * HALF + right

    def _mixed(self, number: int, half: int) -> int:
        mac = hmac.digest(self._key, bytes([number]) + half.to_bytes(4), "sha256")
        return int.from_bytes(mac[:4]) % HALF
