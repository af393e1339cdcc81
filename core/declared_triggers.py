"""Reads what `<app>/sql/triggers/<trigger>.sql` declares, for core/table_protection.py.

Triggers keep the audit log append-only and move its head, count what organizations store, and keep
times that nothing else enforces. Each lies beside the function that it executes, and its condition
is written as PostgreSQL prints it.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

TRIGGER = re.compile(r"^CREATE OR REPLACE TRIGGER (\w+)\s+(.*?\bON (\w+)\s.*);", re.DOTALL | re.M)


class Trigger(NamedTuple):
    table: str
    name: str
    definition: str
    """What follows its name."""


@lru_cache(maxsize=1)
def declared() -> list[Trigger]:
    """The triggers of all files, by table and name."""
    return sorted(read(file.read_text()) for file in files())


def files() -> list[Path]:
    return sorted(settings.BASE_DIR.glob("*/sql/triggers/*.sql"))


def read(text: str) -> Trigger:
    """Raise ValueError if the text creates no trigger."""
    found = TRIGGER.search(text)
    if found is None:
        raise ValueError("There is no trigger.")
    name, definition, table = found.groups()
    return Trigger(table, name, definition)
