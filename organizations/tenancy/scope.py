"""The way into an organization's rows. Outside of a scope the database shows no tenant row at all.

The setting lives in the transaction, so a pooled connection cannot carry it to the next caller.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import Error, connection, transaction

from organizations.models import Organization

SETTING = "app.organization_id"


@contextmanager
def organization_scope(organization: Organization | UUID) -> Iterator[None]:
    """Let the database show and accept only this organization's rows."""
    with transaction.atomic(), request_scope(organization):
        yield


@contextmanager
def request_scope(organization: Organization | UUID) -> Iterator[None]:
    """`organization_scope` inside a transaction that is already open: two statements, not four."""
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
        # A transaction that must roll back takes the setting with it.
        if not connection.needs_rollback and not connection.closed_in_transaction:
            _restore(outer)


def _restore(outer: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, true)", [SETTING, outer])
    except Error:
        # The statement before this one failed: the rollback that follows restores the setting.
        connection.needs_rollback = True
