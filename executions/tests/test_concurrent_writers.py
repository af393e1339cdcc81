"""Several writers at once, with transactions of their own: the sequence keeps no gap."""

from collections.abc import Callable
from typing import Any

import pytest

from agents.tests.factories import make_agent
from executions import actions, uploads
from executions.actions import ReportedEvent
from executions.models import Execution, ExecutionEvent, ExecutionFile
from executions.tests.factories import actor_of, content_of
from executions.tests.threads import at_once
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS, EACH = 4, 15


@pytest.fixture
def actor():
    organization = make_organization()
    with organization_scope(organization):
        return actor_of(make_agent(organization))


def within(actor, work: Callable[[], Any]) -> Any:
    with organization_scope(actor.organization):
        return work()


def test_events_of_concurrent_writers_are_numbered_without_a_gap(actor):
    execution = within(actor, lambda: actions.report_execution(actor=actor, status="queued")[0])

    def write(name: int) -> None:
        for number in range(EACH):
            event = ReportedEvent("stdout", f"{name} {number}")
            within(actor, lambda: actions.append(execution, [event], actor=actor))  # noqa: B023

    results = at_once(*(lambda name=name: write(name) for name in range(WRITERS)))

    assert results == [None] * WRITERS
    with organization_scope(actor.organization):
        rows = ExecutionEvent.objects.order_by("sequence").values_list("sequence", "message")
        stored = list(rows)
        assert Execution.objects.get().last_sequence == WRITERS * EACH
    assert [sequence for sequence, _ in stored] == list(range(1, WRITERS * EACH + 1))
    for name in range(WRITERS):
        own = [message for _, message in stored if message.startswith(f"{name} ")]
        assert own == [f"{name} {number}" for number in range(EACH)]


def test_the_same_batch_sent_at_once_is_there_once(actor):
    execution = within(actor, lambda: actions.report_execution(actor=actor, status="queued")[0])
    batch = [ReportedEvent("stdout", str(n), timestamp=1.0, sequence=n) for n in range(1, 6)]

    results = at_once(
        *[lambda: within(actor, lambda: actions.append(execution, batch, actor=actor))] * WRITERS
    )

    assert sorted(each.accepted for each in results) == [0] * (WRITERS - 1) + [5]
    with organization_scope(actor.organization):
        assert ExecutionEvent.objects.count() == 5


def test_the_same_report_sent_at_once_makes_one_execution(actor):
    def report() -> tuple[Execution, bool]:
        return within(actor, lambda: actions.report_execution(actor=actor, fid="run-1"))

    results = at_once(*[report] * WRITERS)

    assert sorted(is_new for _, is_new in results) == [False] * (WRITERS - 1) + [True]
    assert len({execution.pk for execution, _ in results}) == 1


def test_parts_that_arrive_at_once_make_one_file(actor):
    execution = within(actor, lambda: actions.report_execution(actor=actor)[0])
    upload, _ = within(
        actor,
        lambda: uploads.start_upload(execution, actor=actor, area="out", path="a.txt", size=8),
    )

    def send(number: int) -> uploads.Arrived:
        return within(
            actor,
            lambda: uploads.receive_part(
                execution,
                upload.upload_id,
                actor=actor,
                offset=2 * number,
                total=8,
                content=b"%d%d" % (number, number),
            ),
        )

    results = at_once(*(lambda n=n: send(n) for n in range(WRITERS)))

    assert sorted(each.is_complete for each in results) == [False] * (WRITERS - 1) + [True]
    with organization_scope(actor.organization):
        file = ExecutionFile.objects.get()
        assert content_of(file) == b"00112233"
        assert Execution.objects.get().download_count == 1
