import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.psycopg_connector import PsycopgConnector

from agentidp.checks import refuse_unsafe_start
from core.failures import log_failure
from core.time_limits import limit_idle_transactions
from executions import runner
from executions.queue_rows import end_unusable_rows
from organizations.people import mailing

REAP_EVERY = 15
"""Seconds. With a lease of 15 s, a lost worker is noticed within half a minute."""
PLACES = 2
"""How many mails are sent at once, and how many other jobs beside executions run at once."""
QUEUE_CONNECTIONS = 2
"""How many of each group of queues take jobs and store their ends, besides one that listens.
Procrastinate would open four."""
SPARE_THREADS = 4
ABORT_GRACE_SECONDS = 5
MAX_ATTEMPTS = 5
PAUSE = 2
OUTAGE = (ConnectorException, OperationalError, InterfaceError, OSError)

logger = structlog.get_logger("executions.worker")


class Command(BaseCommand):
    help = (
        "Run jobs until SIGTERM: executions and the nightly maintenance. Also end the "
        "executions of workers that were lost."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=settings.WORKER_CONCURRENCY)
        parser.add_argument(
            "--grace",
            type=int,
            default=settings.WORKER_GRACE_SECONDS,
            help="seconds that running executions have to finish after SIGTERM",
        )

    def handle(self, *, concurrency: int, grace: int, **options: Any) -> None:
        limit_idle_transactions()
        refuse_unsafe_start()
        asyncio.run(work(concurrency, grace))


async def work(concurrency: int, grace: int) -> None:
    loop = asyncio.get_running_loop()
    # Jobs are plain functions in threads. The threads that supervise them must never be used up.
    places = places_of_queues(concurrency)
    threads = sum(number for _, number in places) + SPARE_THREADS
    loop.set_default_executor(ThreadPoolExecutor(threads))
    is_stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_stopping.set)
    watch = asyncio.create_task(repeat(clean_up, is_stopping))
    serve = {
        asyncio.create_task(repeat(partial(run_jobs, queues, number), is_stopping))
        for queues, number in places
    }
    await is_stopping.wait()
    for each in serve:
        each.cancel()
    _, running = await asyncio.wait(serve, timeout=grace)
    if running:
        await on_django(runner.give_up)("The worker was stopped before the execution had ended.")
        _, running = await asyncio.wait(running, timeout=ABORT_GRACE_SECONDS)
    watch.cancel()
    await asyncio.wait({watch})
    if running:
        logger.warning("worker.left_jobs", reason="they do not notice that they are over")
        os._exit(0)  # because threads cannot be ended


async def repeat(work: Callable[[], Awaitable[None]], is_stopping: asyncio.Event) -> None:
    """Repeat the work after every failure, such as an outage of the database."""
    while not is_stopping.is_set():
        try:
            await work()
        except OUTAGE as error:
            logger.warning("database.unavailable", error=type(error).__name__)
        except Exception as error:
            # Without this, nothing would clean up lost executions until the next restart.
            log_failure(error)
        await on_django(close_old_connections)()
        await asyncio.sleep(PAUSE)


async def run_jobs(queues: list[str], concurrency: int) -> None:
    """Run jobs.

    The worker uses connections of its own; jobs enqueued by a job use Django's, in the job's
    transaction.
    """
    connector = PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=QUEUE_CONNECTIONS)
    taker = app.with_connector(connector)
    async with taker.open_async():
        await taker.run_worker_async(
            queues=queues,
            concurrency=concurrency,
            install_signal_handlers=False,
            delete_jobs="successful",
        )


def places_of_queues(concurrency: int) -> list[tuple[list[str], int]]:
    """The groups of queues, each with the number of its jobs that run at once.

    No group takes the threads of another: executions run as long as they like, and a person who
    waits for a mail should not wait until what another organization deleted is gone.
    """
    others = {task.queue for task in app.tasks.values()} - {runner.QUEUE, mailing.QUEUE}
    return [([runner.QUEUE], concurrency), ([mailing.QUEUE], PLACES), (sorted(others), PLACES)]


async def clean_up() -> None:
    """Clean up after lost workers. It must not wait for a free place among the jobs."""
    while True:
        await clean_up_once()
        await asyncio.sleep(REAP_EVERY)


async def clean_up_once() -> None:
    for number, task in await on_django(end_unusable_rows)():
        logger.warning("job.refused", job=number, task=task, reason="not written by AgentIdP")
    if reaped := await on_django(runner.reap)():
        logger.warning("executions.reaped", executions=reaped)
    for job in await app.job_manager.get_stalled_jobs():
        try:
            await retry_or_abandon(job)
        except ConnectorException:
            pass  # another worker was faster
        except OUTAGE:
            raise
        except Exception as error:  # the other jobs still need it
            log_failure(error, job=job.id)


async def retry_or_abandon(job: Job) -> None:
    """Retry a job whose worker was lost, up to MAX_ATTEMPTS.

    An execution that has begun does not run twice.
    """
    if job.attempts < MAX_ATTEMPTS:
        try:
            await app.job_manager.retry_job(job)
            return
        except UniqueViolation:
            pass  # the same is queued again already, and waits for the lock of this one
    if job.task_name == runner.TASK:
        if ids := ids_in(job.task_kwargs):
            await on_django(runner.abandon)(*ids)
        else:
            logger.warning("job.refused", job=job.id, task=job.task_name, reason="no such ids")
    await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=False)


def ids_in(arguments: Any) -> tuple[UUID, UUID] | None:
    """The organization and execution of a job; None if it does not name them.

    Django's connections return JSON as text.
    """
    try:
        named = json.loads(arguments) if isinstance(arguments, str) else arguments
        return UUID(str(named["organization_id"])), UUID(str(named["execution_id"]))
    except (KeyError, TypeError, ValueError):
        return None


def on_django(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """The function, run in the one thread with a database connection besides those of the jobs."""
    return sync_to_async(function, thread_sensitive=True)
