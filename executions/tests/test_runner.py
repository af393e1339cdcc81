"""Executions run by AgentIdP's workers: claimed once, fenced, and ended whatever happens."""

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from agents.actions import update_agent
from agents.models import Agent
from agents.tests.factories import make_agent
from executions import actions, runner
from executions.models import Execution, ExecutionError, ExecutionEvent
from executions.runner import Interrupted, Tracer
from executions.tests.factories import RUNNING, make_execution, make_user_of
from executions.tests.jobs import launch, now, run
from organizations.actions import suspend_organization
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def add(function: Callable[[Tracer], Any], *, retries: int = 0) -> None:
        monkeypatch.setitem(runner.JOBS, "test", runner.Job(function, retries))

    return add


def events_of(execution: Execution) -> list[tuple[str, str]]:
    with organization_scope(execution.organization_id):
        rows = ExecutionEvent.objects.filter(execution_id=execution.pk).order_by("sequence")
        return list(rows.values_list("kind", "message"))


def lapse(execution: Execution, seconds: int = 2) -> None:
    with organization_scope(execution.organization_id):
        Execution.objects.filter(pk=execution.pk).update(
            lease_expires_at=timezone.now() - timedelta(seconds=seconds)
        )


def test_a_job_reports_its_progress(organization, register):
    def work(tracer: Tracer) -> Any:
        tracer.stdout(f"hello {tracer.inputs['name']}")
        tracer.action({"Text": {"body": "looking"}})
        tracer.debug("a", 1)
        tracer.usage(input_tokens=12, output_tokens=3, cost=Decimal("0.001"))
        return {"Markdown": {"body": "**done**"}}

    register(work)
    agent = make_agent(organization, email="worker@agents.example.com")
    user = make_user_of(make_membership(organization, "viewer"))

    execution = run(
        launch(
            organization,
            inputs={"name": "Ada"},
            description={"summary": "Greeting"},
            agent=agent,
            user=user,
        )
    )

    assert events_of(execution) == [
        ("inputs", '{"dict":{"name":"Ada"}}'),
        (
            "meta",
            f'{{"dict":{{"fid":"{execution.fid}","entry_point":"test","summary":"Greeting"}}}}',
        ),
        ("status", "starting"),
        ("status", "running"),
        ("stdout", "hello Ada"),
        ("action", '{"Text":{"body":"looking"}}'),
        ("debug", "a\n1"),
        ("final", '{"Markdown":{"body":"**done**"}}'),
        ("status", "finished"),
    ]
    assert (execution.source, execution.agent_name) == ("worker", "worker")
    assert (execution.agent_id, execution.user_id) == (agent.pk, user.pk)
    assert (execution.input_tokens, execution.cost) == (12, Decimal("0.001"))
    assert execution.lease_expires_at is None
    assert runner.heartbeats.tracers() == []


def test_the_job_is_queued_with_the_row_or_not_at_all(organization):
    execution = launch(organization)
    with transaction.atomic():
        launch(organization)
        transaction.set_rollback(True)

    job = ProcrastinateJob.objects.get()
    assert job.task_name == "executions.run"
    assert job.args == {
        "organization_id": str(organization.pk),
        "execution_id": str(execution.pk),
    }
    assert execution.status == "queued"


def test_a_failure_is_reported_with_its_trace_but_without_our_own_frames(organization, register):
    def work(tracer: Tracer) -> None:
        raise ValueError("The total is negative: \x00 -12")

    register(work)

    execution = run(launch(organization))

    assert execution.status == "error"
    assert execution.error == "ValueError: The total is negative: \ufffd -12"
    trace = events_of(execution)[-2][1]
    assert "in work" in trace
    assert "in run\n" not in trace


@pytest.mark.parametrize("way_out", [SystemExit(3), RecursionError(), MemoryError()])
def test_no_way_out_of_a_job_leaves_it_running(organization, register, way_out):
    def work(tracer: Tracer) -> None:
        raise way_out

    register(work)

    assert run(launch(organization)).status == "error"


def test_an_unknown_job_is_an_error(organization):
    execution = run(launch(organization, "nobody.knows"))

    assert (execution.status, execution.error) == ("error", "There is no job named nobody.knows.")


def test_a_job_that_is_delivered_twice_runs_once(organization, register):
    runs = []
    register(runs.append)
    execution = launch(organization)

    run(execution)
    run(execution)

    assert len(runs) == 1


def test_only_one_worker_claims(organization, register):
    execution = launch(organization)

    assert runner.claim(organization.pk, execution.pk) is not None
    assert runner.claim(organization.pk, execution.pk) is None


def test_an_execution_stopped_in_the_queue_never_runs(organization, register):
    runs = []
    register(runs.append)
    execution = launch(organization)
    with organization_scope(organization):
        actions.stop_execution(execution, actor=Actor.for_system(organization, "test"))

    assert run(execution).status == "cancelled"
    assert runs == []


def test_stopping_interrupts_the_job_at_its_next_word(organization, register):
    reached = []

    def work(tracer: Tracer) -> None:
        with organization_scope(organization):
            execution = Execution.objects.get(pk=tracer.execution_id)
            actions.stop_execution(execution, actor=Actor.for_system(organization, "test"))
        try:
            tracer.stdout("too late")
        except Exception:
            reached.append("a job cannot hold this up")
        reached.append("nor go on")

    register(work)

    execution = run(launch(organization))

    assert execution.status == "cancelled"
    assert events_of(execution)[-1] == ("status", "cancelled")
    assert reached == []


def test_a_lost_worker_ends_the_execution_and_cannot_write_any_more(
    organization, other_organization
):
    lost = []
    for each in (organization, other_organization):
        execution = launch(each)
        tracer = runner.claim(each.pk, execution.pk)
        tracer.has_begun()
        lapse(execution)
        lost.append((execution, tracer))
    healthy = launch(organization)
    runner.claim(organization.pk, healthy.pk)

    assert runner.reap() == 2
    assert runner.reap() == 0

    for execution, tracer in lost:
        ended = now(execution)
        assert ended.status == "error"
        assert ended.error == "The worker was lost: nothing was heard from it for 17 s."
        with organization_scope(execution.organization_id):
            assert ExecutionError.objects.get(execution_id=execution.pk)
        before = events_of(execution)
        for write in (lambda: tracer.stdout("x"), lambda: tracer.has_finished(1)):  # noqa: B023
            with pytest.raises(Interrupted):
                write()
        assert events_of(execution) == before
    assert now(healthy).status == "starting"


def test_an_outside_engine_that_falls_silent_is_ended_too(organization):
    past = timezone.now() - timedelta(seconds=40)
    execution = make_execution(
        organization, RUNNING, lease_generation=1, lease_seconds=30, lease_expires_at=past
    )

    runner.reap()

    assert now(execution).error == "The worker was lost: nothing was heard from it for 70 s."


def test_a_job_may_declare_that_it_can_run_again(organization, register):
    register(lambda tracer: None, retries=1)
    execution = launch(organization)

    runner.claim(organization.pk, execution.pk).has_begun()
    lapse(execution)
    runner.reap()

    assert now(execution).status == "running"
    assert events_of(execution)[-1][1].endswith("It is tried again.")
    assert ProcrastinateJob.objects.count() == 2
    runner.claim(organization.pk, execution.pk)
    lapse(execution)
    runner.reap()
    assert now(execution).status == "error", "once, as it declared"


def test_the_second_attempt_can_finish(organization, register):
    register(lambda tracer: "done", retries=1)
    execution = launch(organization)
    runner.claim(organization.pk, execution.pk)
    lapse(execution)
    runner.reap()

    assert run(execution).status == "finished"


def test_a_worker_that_must_go_says_so(organization):
    execution = launch(organization)
    tracer = runner.claim(organization.pk, execution.pk)

    with runner.heartbeats.for_job(tracer):
        runner.give_up("The worker was stopped before the execution had ended.")

    ended = now(execution)
    assert (ended.status, ended.error) == (
        "error",
        "The worker was stopped before the execution had ended.",
    )
    with pytest.raises(Interrupted):
        tracer.wait(60)


def suspend(organization: Organization, agent: Agent | None) -> None:
    actor = Actor.for_system(organization, "test")
    with organization_scope(organization):
        if agent is None:
            suspend_organization(organization, actor=actor)
        else:
            update_agent(agent, actor=actor, status="suspended")


@pytest.mark.parametrize("whose", ["organization", "agent"])
def test_no_execution_starts_for_a_suspended_agent(organization, register, whose):
    ran = []
    register(ran.append)
    agent = make_agent(organization) if whose == "agent" else None
    execution = launch(organization, agent=agent)
    suspend(organization, agent)

    ended = run(execution)

    assert (ended.status, ended.error) == ("error", f"The {whose} is no longer active.")
    assert ran == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("whose", ["organization", "agent"])
def test_no_execution_continues_for_a_suspended_agent(monkeypatch, register, whose):
    monkeypatch.setattr("executions.runner.heartbeat.BEAT", 0.05)
    organization = Organization.objects.create(name="Northwind", slug="northwind")
    agent = make_agent(organization) if whose == "agent" else None

    def work(tracer: Tracer) -> None:
        suspend(organization, agent)
        tracer.wait(20)

    register(work, retries=1)
    ended = run(launch(organization, agent=agent))

    assert (ended.status, ended.error) == ("error", f"The {whose} is no longer active.")
    assert ended.lease_expires_at is None


def test_an_execution_that_no_worker_could_start_ends(organization):
    execution = launch(organization)
    begun = launch(organization)
    runner.claim(organization.pk, begun.pk)

    for each in (execution, begun):
        runner.abandon(organization.pk, each.pk)

    assert now(execution).status == "error"
    assert now(begun).status == "starting"


@pytest.mark.django_db(transaction=True)
def test_the_heartbeat_renews_held_leases_and_notices_lost_ones(monkeypatch):
    monkeypatch.setattr("executions.runner.heartbeat.BEAT", 0.05)
    organization = Organization.objects.create(name="Northwind", slug="northwind")
    held, taken = launch(organization), launch(organization)
    tracers = [runner.claim(organization.pk, each.pk) for each in (held, taken)]
    for each in (held, taken):
        lapse(each, seconds=0)
    with organization_scope(organization):
        actions.stop_execution(taken, actor=Actor.for_system(organization, "test"))

    with runner.heartbeats.for_job(tracers[0]), runner.heartbeats.for_job(tracers[1]):
        with pytest.raises(Interrupted):
            tracers[1].wait(20)
        # One beat checks both, in any order.
        deadline = time.monotonic() + 20
        while now(held).lease_expires_at <= timezone.now() and time.monotonic() < deadline:
            tracers[0].wait(0.01)
        assert not tracers[0].is_over

    assert now(held).lease_expires_at > timezone.now()
    assert now(taken).lease_expires_at is None


def test_the_end_survives_a_short_outage(organization, register, monkeypatch):
    execution = launch(organization)
    tracer = runner.claim(organization.pk, execution.pk)
    write, failures = Tracer._write, [OperationalError(), OperationalError()]

    def shaky(self: Tracer, *events: Any, **fields: Any) -> None:
        if failures:
            raise failures.pop()
        write(self, *events, **fields)

    monkeypatch.setattr(Tracer, "_write", shaky)
    monkeypatch.setattr(Tracer, "wait", lambda self, seconds: None)
    monkeypatch.setattr(connection, "close", lambda: None)  # the connection belongs to the test

    tracer.has_finished("done")

    assert now(execution).status == "finished"
