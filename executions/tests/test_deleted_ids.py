"""The id of a deleted execution is not used again, and nothing makes an execution undeletable."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection
from django.test import Client

from agents.tests.factories import make_agent
from executions import tasks
from executions.models import DeletedExecution, Execution, now
from executions.quotas import QUEUE
from executions.tests.engine import URL
from executions.tests.factories import FINISHED, make_execution
from executions.tests.received import received_earlier
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits

DAY = 24 * 3600


def rows_of(organization: Organization) -> tuple[int, int]:
    with organization_scope(organization):
        return Execution.objects.count(), DeletedExecution.objects.count()


@pytest.mark.django_db(transaction=True)
def test_an_id_that_is_used_and_deleted_while_a_report_waits_for_room_is_refused(
    organization: Organization, client_for: Callable[..., Client], owner: psycopg.Connection
) -> None:
    agent = make_agent(organization)
    client, other = client_for(agent), client_for(agent)

    def report() -> tuple[int, str]:
        try:
            answer = client.post(URL, {"executionId": "run-1"}, content_type="application/json")
            return answer.status_code, answer.json().get("code", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute(QUEUE, [str(organization.pk)])
            waiting = pool.submit(report)
            until_it_waits(waiting, owner)
            make_execution(organization, FINISHED, fid="run-1", agent=agent)
            assert other.delete(f"{URL}/run-1").status_code == 204
        answer = waiting.result()

    assert answer == (409, "EXECUTION_DELETED")
    assert rows_of(organization) == (0, 1)


@pytest.mark.parametrize("way", ["request", "retention"])
def test_a_run_beside_a_tombstone_with_its_id_can_be_deleted(
    organization: Organization, client_for: Callable[..., Client], way: str
) -> None:
    organization.execution_retention_days = 30
    organization.save(update_fields=["execution_retention_days"])
    agent = make_agent(organization)
    run = make_execution(organization, FINISHED, fid="run-1", agent=agent, start=now() - 31 * DAY)
    received_earlier(run, 31)
    with organization_scope(organization):
        DeletedExecution.objects.create(organization=organization, fid="run-1")

    if way == "request":
        assert client_for(agent).delete(f"{URL}/run-1").status_code == 204
    else:
        tasks.expire_executions(timestamp=0)

    assert rows_of(organization) == (0, 1)
    with organization_scope(organization):
        tombstone = DeletedExecution.objects.get()
    assert (tombstone.pk, tombstone.agent_id) == (run.pk, agent.pk), "viewers drop this one"
