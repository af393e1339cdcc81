"""Executions run by AgentIdP's workers. A job is a plain function that gets a tracer.

`launch` stores the execution and enqueues it in one transaction. A worker claims it with a lease,
sends a heartbeat every few seconds, and can write only while it holds the lease. The row decides,
not the queue: a job that is delivered twice runs once.
"""

from executions.runner.heartbeat import heartbeats
from executions.runner.jobs import JOBS, QUEUE, TASK, Job, job, launch
from executions.runner.reaping import abandon, give_up, reap
from executions.runner.tracer import Interrupted, Tracer
from executions.runner.work import claim, run

__all__ = [
    "JOBS",
    "QUEUE",
    "TASK",
    "Interrupted",
    "Job",
    "Tracer",
    "abandon",
    "claim",
    "give_up",
    "heartbeats",
    "job",
    "launch",
    "reap",
    "run",
]
