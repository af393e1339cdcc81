"""Executions that a worker of ours runs. A job is a plain function that gets a tracer.

`launch` stores the execution and enqueues it in one transaction. A worker claims it with a lease,
says every few seconds that it lives, and writes only as long as nobody has taken the lease away.
The row is the truth, not the queue: a job that is delivered twice runs once.
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
