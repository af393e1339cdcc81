from __future__ import annotations

from django.db import models


class TransactionNumber(models.Func):
    """The id of the writing transaction; ids follow the order of each transaction's first write."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()
