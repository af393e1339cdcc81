"""Rules of the database for use in querysets.

Each is a function of rows, defined once in `<app>/sql/`, which SQL statements and querysets share.
"""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col
from django.db.models.sql.compiler import SQLCompiler


class RowOf(models.Func):
    """The whole row of the named column's table, as an argument: `RowOf("agent__status")`.

    Do not name a primary key: Django reads that from the table that points to it.
    """

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        (column,) = self.source_expressions
        if not isinstance(column, Col):
            raise TypeError(f"{column} is not a column of a table.")
        return compiler.quote_name_unless_alias(column.alias), ()


class Rule(models.Func):
    """A boolean database function, for `filter` and `annotate`.

    PostgreSQL inlines it, so query plans stay the same.
    """

    output_field = models.BooleanField()

    def __init__(self, function: str, *arguments: models.Expression) -> None:
        super().__init__(*arguments, function=function)
