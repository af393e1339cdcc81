"""Rules that the database knows: each is a function of rows, written once in `<app>/sql/`, which
statements and querysets call alike."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Col
from django.db.models.sql.compiler import SQLCompiler


class RowOf(models.Func):
    """The row that the named column stands in, as an argument: `RowOf("agent__status")`.

    The name of a key would not do: Django takes that from the table that points to it.
    """

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        (column,) = self.source_expressions
        if not isinstance(column, Col):
            raise TypeError(f"{column} is no column of a table.")
        return compiler.quote_name_unless_alias(column.alias), ()


class Rule(models.Func):
    """Whether a rule holds: for `filter` and `annotate`.

    PostgreSQL puts the rule's text in the place of the call, so that plans stay as they would be.
    """

    output_field = models.BooleanField()

    def __init__(self, function: str, *arguments: models.Expression) -> None:
        super().__init__(*arguments, function=function)
