"""Ids are never used twice, not even by a process and its fork, and have their version's form."""

import os
import time

from core import ids
from core.ids import IDS_AT_ONCE, random_id, uuid7


def test_no_id_comes_twice() -> None:
    many = 3 * IDS_AT_ONCE
    made = {make() for _ in range(many) for make in (random_id, uuid7)}

    assert len(made) == 2 * many


def test_an_id_has_the_form_of_its_version() -> None:
    random, ordered = random_id(), uuid7()

    assert (random.version, ordered.version) == (4, 7)
    assert random.variant == ordered.variant
    assert abs((ordered.int >> 80) / 1000 - time.time()) < 60


def test_all_other_bits_are_random() -> None:
    for make, fixed in ((random_id, 6), (uuid7, 48 + 6)):
        made = [make().int for _ in range(200)]
        ones = [sum(value >> bit & 1 for value in made) for bit in range(128)]

        assert sum(0 < count < len(made) for count in ones) >= 128 - fixed


def test_a_forked_process_has_its_own() -> None:
    random_id()
    assert ids._supply
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writes, random_id().bytes)
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reads, 16) != random_id().bytes
