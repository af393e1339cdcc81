"""Reporting, stopping and deleting executions, as agents and people do it."""

import pytest
from django.core.files.storage import default_storage

from agents.models import Agent
from agents.tests.factories import make_agent
from core.errors import Forbidden, InvalidValue
from executions import actions
from executions.actions import ReportedEvent
from executions.event_log import NewEvent
from executions.models import (
    DeletedExecution,
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionFile,
    ExecutionHasEnded,
    Upload,
    UploadPart,
    now,
)
from executions.tests.factories import (
    FAILED,
    RUNNING,
    actor_of,
    make_execution,
    make_file,
    make_upload,
    make_user_of,
)
from organizations.actors import Actor
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership


@pytest.fixture
def agent(organization: Organization) -> Agent:
    return make_agent(organization)


@pytest.fixture
def actor(agent: Agent) -> Actor:
    return actor_of(agent)


@pytest.fixture
def scope(organization: Organization):
    with organization_scope(organization):
        yield


def report(actor: Actor, **fields) -> Execution:
    return actions.report_execution(actor=actor, **fields)[0]


def events_of(execution: Execution) -> list[tuple[int, str, str]]:
    rows = ExecutionEvent.objects.filter(execution_id=execution.pk).order_by("sequence")
    return list(rows.values_list("sequence", "kind", "message"))


def line(text: str, sequence: int | None = None, timestamp: float | None = None) -> ReportedEvent:
    return ReportedEvent("stdout", text, timestamp=timestamp, sequence=sequence)


def actions_in_the_log() -> list[str]:
    return list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))


def test_a_report_is_bound_to_the_agent_and_its_credential(scope, agent, actor):
    execution = report(
        actor, description={"summary": "Weekly report", "tags": ["a"]}, inputs={"topic": "Ä"}
    )

    assert (execution.agent_id, execution.credential_id) == (agent.pk, actor.credential_id)
    assert execution.agent_name == agent.name
    assert execution.source == Execution.Source.API
    assert execution.status == "running"
    assert execution.description == {"summary": "Weekly report", "tags": ["a"]}
    assert events_of(execution) == [
        (1, "status", "running"),
        (2, "inputs", '{"dict":{"topic":"Ä"}}'),
        (3, "meta", '{"dict":{"summary":"Weekly report","tags":["a"]}}'),
    ]


def test_a_queued_report_has_no_events_yet(scope, actor):
    execution = report(actor, status="queued")

    assert (execution.status, execution.last_sequence) == ("queued", 0)


def test_people_do_not_report(scope, organization):
    person = Actor.for_person(make_membership(organization))

    with pytest.raises(Forbidden, match="Only an agent"):
        report(person)


def test_a_repeated_report_finds_the_first(scope, actor):
    first = report(actor, fid="run-1", inputs={"a": 1})

    again, is_new = actions.report_execution(actor=actor, fid="run-1", inputs={"a": 1})

    assert (again.pk, is_new) == (first.pk, False)
    assert again.last_sequence == 2


@pytest.mark.parametrize("changed", [{"inputs": {"a": 2}}, {"description": {"summary": "x"}}])
def test_a_report_that_says_something_else_is_refused(scope, actor, changed):
    report(actor, fid="run-1", inputs={"a": 1})

    with pytest.raises(actions.ExecutionExists):
        report(actor, fid="run-1", **changed)


def test_another_agents_id_is_taken(scope, organization, actor):
    report(actor, fid="run-1")

    with pytest.raises(actions.ExecutionExists):
        report(actor_of(make_agent(organization)), fid="run-1")


def test_an_agent_acts_for_a_member(scope, organization, other_organization, actor):
    member = make_membership(organization, "viewer")

    execution = report(actor, user_id=member.user_id)

    assert execution.user.user_id == member.user_id
    assert Execution.objects.visible_to(Actor.for_person(member)).get() == execution
    with pytest.raises(InvalidValue, match="userId"):
        report(actor, user_id=make_membership(other_organization).user_id)


def test_appending_again_changes_nothing(scope, actor):
    execution = report(actor, status="queued")
    batch = [line("a", 1), line("b", 2)]
    actions.append(execution, batch, actor=actor)

    appended = actions.append(execution, [*batch, line("c", 3)], actor=actor)

    assert (appended.accepted, appended.duplicates) == (1, 2)
    assert events_of(execution) == [(1, "stdout", "a"), (2, "stdout", "b"), (3, "stdout", "c")]


@pytest.mark.parametrize(
    "other",
    [line("b", 1), ReportedEvent("stderr", "a", sequence=1), line("a", 1, timestamp=5.0)],
)
def test_another_event_with_a_known_number_is_refused(scope, actor, other):
    execution = report(actor, status="queued")
    actions.append(execution, [line("a", 1)], actor=actor)

    with pytest.raises(actions.SequenceConflict):
        actions.append(execution, [line("z"), other], actor=actor)

    assert events_of(execution) == [(1, "stdout", "a")]


def test_a_gap_is_refused_with_the_next_sequence_number(scope, actor):
    execution = report(actor, status="queued")
    actions.append(execution, [line("a", 1)], actor=actor)

    with pytest.raises(actions.SequenceGap) as refusal:
        actions.append(execution, [line("b", 2), line("d", 4)], actor=actor)

    assert refusal.value.details == {"sequence": 4, "nextSequence": 2}
    assert events_of(execution) == [(1, "stdout", "a")]
    assert actions.append(execution, [line("b", 2), line("c", 3)], actor=actor).accepted == 2


def test_the_last_batch_may_be_repeated_after_the_end(scope, actor):
    execution = report(actor, status="queued")
    batch = [line("a", 1), ReportedEvent("status", "finished", sequence=2)]
    actions.append(execution, batch, actor=actor)

    assert actions.append(execution, batch, actor=actor).duplicates == 2
    with pytest.raises(ExecutionHasEnded):
        actions.append(execution, [line("b", 3)], actor=actor)


def test_only_its_agent_reports_on_an_execution(scope, organization, actor):
    execution = report(actor)

    for other in (
        actor_of(make_agent(organization)),
        Actor.for_person(make_membership(organization)),
    ):
        with pytest.raises(Forbidden):
            actions.append(execution, [line("a")], actor=other)
        with pytest.raises(Forbidden):
            actions.finish(execution, actor=other, status="finished")


def test_finishing_says_how_it_ended(scope, actor):
    execution = report(actor)

    end = {"status": "error", "final": '{"Text":{"body":"x"}}', "error": "It broke."}
    ended = actions.finish(execution, actor=actor, **end)

    assert (ended.status, ended.error) == ("error", "It broke.")
    assert ended.final == '{"Text":{"body":"x"}}'
    assert actions.finish(execution, actor=actor, **end).last_sequence == 4
    with pytest.raises(ExecutionHasEnded):
        actions.finish(execution, actor=actor, status="finished")


def test_an_engine_whose_clock_is_ahead_can_be_stopped(scope, actor):
    execution = report(actor, started_at=now() + 600)

    assert actions.stop_execution(execution, actor=actor).status == "cancelled"


def test_a_stopped_execution_stays_and_takes_no_more_events(scope, actor):
    execution = report(actor)

    actions.stop_execution(execution, actor=actor)

    actions.stop_execution(execution, actor=actor)
    assert events_of(execution)[-1] == (2, "status", "cancelled")
    assert actions_in_the_log() == ["execution.stopped"]
    with pytest.raises(ExecutionHasEnded):
        actions.append(execution, [line("late")], actor=actor)


def test_an_ended_execution_cannot_be_stopped(scope, actor):
    execution = report(actor)
    actions.finish(execution, actor=actor, status="finished")

    with pytest.raises(ExecutionHasEnded, match="finished already"):
        actions.stop_execution(execution, actor=actor)


@pytest.mark.parametrize("change", [actions.stop_execution, actions.delete_execution])
def test_who_may_stop_and_delete(scope, organization, actor, change):
    def is_allowed(someone: Actor, execution: Execution) -> bool:
        options = {"stop": True} if change is actions.delete_execution else {}
        try:
            change(execution, actor=someone, **options)
        except Forbidden:
            return False
        return True

    viewer = make_membership(organization, "viewer")
    people = {role: Actor.for_person(make_membership(organization, role)) for role in ("operator",)}
    own = make_execution(organization, RUNNING, user=make_user_of(viewer))

    assert not is_allowed(Actor.for_person(viewer), own), "a viewer lacks executions:write"
    assert not is_allowed(actor_of(make_agent(organization)), report(actor))
    assert not is_allowed(actor_of(Agent.objects.get(pk=actor.id), "executions:read"), own)
    assert is_allowed(actor, report(actor))
    assert is_allowed(people["operator"], own)


def test_a_live_execution_is_not_deleted(scope, actor):
    execution = report(actor)

    with pytest.raises(actions.ExecutionIsLive):
        actions.delete_execution(execution, actor=actor)

    assert events_of(execution) == [(1, "status", "running")]


def test_nothing_but_the_fact_is_left_of_a_deleted_execution(
    organization, agent, actor, django_capture_on_commit_callbacks
):
    execution = make_execution(
        organization, FAILED, agent=agent, events=[NewEvent(now(), "error", "It broke.")]
    )
    file = make_file(execution)
    make_upload(execution)
    other = make_file(make_execution(organization, FAILED))

    with django_capture_on_commit_callbacks(execute=True), organization_scope(organization):
        actions.delete_execution(execution, actor=actor)
        assert default_storage.exists(file.content.name), "only a committed deletion is final"

    assert not default_storage.exists(file.content.name)
    assert default_storage.exists(other.content.name)
    with organization_scope(organization):
        assert DeletedExecution.objects.get().fid == execution.fid
        for model in (ExecutionEvent, ExecutionError, ExecutionFile, Upload):
            assert not model.objects.filter(execution_id=execution.pk).exists()
        assert not UploadPart.objects.exists()
        assert Execution.objects.count() == 1
        assert actions_in_the_log() == ["execution.deleted"]
        with pytest.raises(actions.ExecutionWasDeleted):
            report(actor, fid=execution.fid)


def test_deleting_can_stop_first(scope, actor):
    actions.delete_execution(report(actor), actor=actor, stop=True)

    assert actions_in_the_log() == ["execution.stopped", "execution.deleted"]
