"""Adds up the changes of ended executions and of errors, as the next writer would."""

from django.db import connection

from organizations.models import Organization


def add_up(organization: Organization) -> None:
    with connection.cursor() as cursor:
        for what in ("ended", "errors"):
            cursor.execute(f"SELECT executions_add_up_{what}(%s)", [organization.pk])
