"""An upgrade computes how long earlier executions waited for answers from their events."""

from importlib import import_module

import pytest
from django.db import connection

from executions.models import Execution
from executions.tests.factories import FINISHED, RUNNING, START, make_execution, tagged
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

MIGRATION = import_module("executions.migrations.0019_waiting_before")


@pytest.mark.django_db
def test_upgrade_finds_the_waiting_that_the_record_counted(
    organization: Organization,
    other_organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    locks = [tagged("lock", START + 1, lid="one"), tagged("lock", START + 4, lid="two")]
    leases = [tagged("lease", START + 6, lid="one"), tagged("lease", START + 9, lid="two")]
    made = [
        make_execution(organization, RUNNING, start=START, events=[*locks, *leases]),
        make_execution(organization, [*RUNNING, ("awaiting", 2.0), ("running", 5.0)]),
        make_execution(organization, FINISHED),
        make_execution(other_organization, [*RUNNING, ("awaiting", 2.0), ("finished", 3.5)]),
    ]
    counted = [seconds_of(each) for each in made]
    for each in made:
        with organization_scope(each.organization):
            Execution.objects.filter(pk=each.pk).update(waiting_seconds=0)
    monkeypatch.setattr(MIGRATION, "BATCH", 1)

    MIGRATION.fill(None, connection.schema_editor())

    assert [seconds_of(each) for each in made] == counted
    assert counted == pytest.approx([8, 3, 0, 1.5])


def seconds_of(execution: Execution) -> float:
    with organization_scope(execution.organization):
        return Execution.objects.get(pk=execution.pk).waiting_seconds
