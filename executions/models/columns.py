from __future__ import annotations

from django.db import models


class TransactionNumber(models.Func):
    """The number of the writing transaction; numbers follow the order of first writes."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()
