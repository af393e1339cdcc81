"""The registry of jobs, and how to launch one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from procrastinate.contrib.django import app

from agents.models import Agent
from executions.event_log import NewEvent, append_to_locked
from executions.json_text import tagged
from executions.models import UNKNOWN_AGENT, Execution, ExecutionUser, new_execution
from executions.quotas import Amounts, require_room, require_turn, size_of
from executions.runner.tracer import Kind, Tracer
from organizations.actors import Actor

TASK = "executions.run"
QUEUE = "executions"


@dataclass(frozen=True)
class Job:
    function: Callable[[Tracer], Any]
    retries: int
    """How often the job may be retried after its worker was lost. 0: it must not run twice."""


JOBS: dict[str, Job] = {}


def job(name: str, *, retries: int = 0) -> Callable[[Callable[[Tracer], Any]], Any]:
    """Register the function as a job that `launch` finds by name."""

    def register(function: Callable[[Tracer], Any]) -> Callable[[Tracer], Any]:
        JOBS[name] = Job(function, retries)
        return function

    return register


@transaction.atomic
def launch(
    name: str,
    *,
    actor: Actor,
    inputs: dict[str, Any] | None = None,
    description: dict[str, Any] | None = None,
    agent: Agent | None = None,
    user: ExecutionUser | None = None,
) -> Execution:
    """Queue an execution of the job for `user`; it starts after this transaction commits.

    Without an `agent` the execution is named after its summary or the job.
    """
    execution = new_execution(
        actor.organization,
        source=Execution.Source.WORKER,
        agent=agent,
        agent_name=agent.name if agent else UNKNOWN_AGENT,
        user=user,
    )
    at = execution.start_time
    meta = {"fid": execution.fid, "entry_point": name} | (description or {})
    events = [
        NewEvent(at, Kind.INPUTS, tagged(inputs or {})),
        NewEvent(at, Kind.META, tagged(meta)),
    ]
    require_room(actor.organization, Amounts(executions=1, event_bytes=size_of(events)))
    require_turn(actor.organization)
    execution.save(force_insert=True)
    execution = append_to_locked(execution, events)
    _enqueue(execution)
    return execution


def _enqueue(execution: Execution) -> None:
    app.configure_task(TASK, queue=QUEUE).defer(
        organization_id=str(execution.organization_id), execution_id=str(execution.pk)
    )
