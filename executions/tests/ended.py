"""Adds up the changes of ended executions, as the next writer or reader would."""

from django.db import connection

from organizations.models import Organization


def add_up(organization: Organization) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT executions_add_up_ended(%s)", [organization.pk])
