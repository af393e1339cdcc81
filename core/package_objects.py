"""Functions and triggers of packages with migrations of their own, as the packages write them.

The queue of jobs is procrastinate's. Its latest schema is what its migrations lead to.
"""

import re
from functools import lru_cache

from procrastinate.schema import SchemaManager

FUNCTION = re.compile(r"^CREATE FUNCTION (\w+)\b.*?\$\$(.*?)\$\$;", re.DOTALL | re.MULTILINE)
TRIGGER = re.compile(r"^CREATE TRIGGER (\w+)\s+(.*?);", re.DOTALL | re.MULTILINE)


@lru_cache(maxsize=1)
def functions() -> dict[str, str]:
    """The body of each function, by name."""
    return dict(FUNCTION.findall(SchemaManager.get_schema()))


@lru_cache(maxsize=1)
def triggers() -> dict[str, str]:
    """What follows the name, by name, as PostgreSQL prints it."""
    found = dict(TRIGGER.findall(SchemaManager.get_schema()))
    return {
        name: text.replace("UPDATE OR INSERT", "INSERT OR UPDATE").replace("PROCEDURE", "FUNCTION")
        for name, text in found.items()
    }
