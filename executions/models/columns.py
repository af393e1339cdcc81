from __future__ import annotations

from django.db import models


class TransactionNumber(models.Func):
    """Of the transaction that writes the row, in the order in which transactions began to write."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()
