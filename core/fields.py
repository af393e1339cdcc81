"""Fields of bodies that every app may have."""

import re
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")


class TimeField(serializers.DateTimeField):
    """A time as RFC 3339 writes it; UTC without a zone. A day alone is refused: its beginning and
    its end would both be meant by it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)

    def to_internal_value(self, value: Any) -> datetime:
        if isinstance(value, str) and not TIME.match(value):
            value = ""  # refused as no time at all
        return super().to_internal_value(value)
