"""Enters an organization's scope. Outside of one, PostgreSQL shows no tenant row at all.

The setting belongs to the transaction, so a pooled connection cannot leak it to the next request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import Error, connection, transaction

from organizations.models import Organization

SETTING = "app.organization_id"


@contextmanager
def organization_scope(organization: Organization | UUID) -> Iterator[None]:
    """Make the database show and accept only this organization's rows."""
    with transaction.atomic(), request_scope(organization):
        yield


@contextmanager
def request_scope(organization: Organization | UUID) -> Iterator[None]:
    """Like organization_scope(), but inside an open transaction: two statements instead of four."""
    if not connection.in_atomic_block:
        raise RuntimeError("An organization is entered inside a transaction only.")
    key = organization.pk if isinstance(organization, Organization) else organization
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting(%s, true), set_config(%s, %s, true)",
            [SETTING, SETTING, str(key)],
        )
        outer = cursor.fetchone()[0] or ""
    try:
        yield
    finally:
        # A rollback resets the setting by itself.
        if not connection.needs_rollback and not connection.closed_in_transaction:
            _restore(outer)


def _restore(outer: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, outer])
    except Error:
        # An earlier statement failed; the rollback will reset the setting.
        connection.needs_rollback = True
