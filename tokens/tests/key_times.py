"""Tests of what happens to signing keys later."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import time_machine
from django.db.models import F
from django.utils import timezone

from tokens.keys import key_ring
from tokens.models import SigningKey


@contextmanager
def later(seconds: float) -> Iterator[None]:
    """That much later. The database's clock, which decides about keys, cannot be moved: their times
    are instead."""
    span = timedelta(seconds=seconds)
    move_keys(-span)
    with time_machine.travel(timezone.now() + span, tick=False):
        yield
    move_keys(span)


def move_keys(span: timedelta) -> None:
    times = ("active_from", "retired_at", "removed_at")
    SigningKey.objects.update(**{name: F(name) + span for name in times})
    key_ring.forget()
