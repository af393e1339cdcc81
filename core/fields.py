"""Serializer fields that any app may use."""

import re
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from core.text import validate_printable

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")


class NameField(serializers.CharField):
    """A name or label: printable text, since it appears in logs, mail and lists."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validators=[validate_printable], **kwargs)


class ContentField(serializers.CharField):
    """Text that is kept as it was sent, and may fill a whole body: it is neither normalized nor
    looked at letter by letter. The parser has refused NUL and halves of surrogate pairs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)
        self.validators = [
            each
            for each in self.validators
            if not isinstance(each, ProhibitSurrogateCharactersValidator)
        ]


class TimeField(serializers.DateTimeField):
    """A date-time as in RFC 3339, UTC if it has no offset.

    A date alone is refused, since it could mean the beginning or the end of the day.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)

    def to_internal_value(self, value: Any) -> datetime:
        if isinstance(value, str) and not TIME.match(value):
            value = ""  # makes the base class refuse it
        return super().to_internal_value(value)
