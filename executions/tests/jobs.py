"""Jobs for tests of the runner, launched and run in the test process."""

from typing import Any

from executions import runner
from executions.models import Execution
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope


def launch(organization: Organization, name: str = "test", **fields: Any) -> Execution:
    actor = Actor.for_system(organization, "test")
    with organization_scope(organization):
        return runner.launch(name, actor=actor, **fields)


def run(execution: Execution) -> Execution:
    runner.run(execution.organization_id, execution.pk)
    return now(execution)


def now(execution: Execution) -> Execution:
    with organization_scope(execution.organization_id):
        return Execution.objects.get(pk=execution.pk)
