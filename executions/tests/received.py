"""Executions that were reported long ago, by the database's clock."""

from datetime import timedelta

from core.database_clock import database_time
from executions.models import Execution
from organizations.tenancy.scope import organization_scope


def received_earlier(execution: Execution, days: float) -> Execution:
    """The execution, as if its last event had been received so many days ago.

    A trigger keeps `changed_at` when the row is updated, so the row is inserted anew.
    """
    with organization_scope(execution.organization_id):
        row = Execution.objects.get(pk=execution.pk)
        Execution.objects.filter(pk=row.pk)._raw_delete("default")
        row.changed_at = database_time() - timedelta(days=days)
        row.save(force_insert=True)
    return execution
