"""Quotas of attempts and quotas of time have the same windows."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from organizations.models import Attempt


def counted(*arguments: object) -> int:
    places = ", ".join(["%s", "%s::interval", "%s"][: len(arguments)])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT attempts FROM organizations_count_attempt({places})", arguments)
        return int(cursor.fetchone()[0])


@pytest.mark.django_db
def test_an_attempt_counts_as_one_or_as_much_as_it_amounts_to() -> None:
    assert counted("key", "1 minute") == 1, "as servers of the release before call it"
    assert counted("key", "1 minute", 500) == 501
    assert counted("key", "1 minute") == 502

    Attempt.objects.update(started_at=F("started_at") - timedelta(minutes=2))

    assert counted("key", "1 minute", 30) == 30
