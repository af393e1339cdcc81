"""Heartbeats of the executions that this process runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.db import connection
from django.db.models.functions import Now

from core.failures import log_failure
from executions.models import Execution
from executions.runner.ending import end_if_it_may_not_run
from executions.runner.tracer import Outage, Tracer
from organizations.tenancy.scope import organization_scope

LEASE = 15
"""The duration of a worker's lease in seconds."""
BEAT = 5.0
"""The interval between heartbeats in seconds."""
logger = structlog.get_logger(__name__)


class Heartbeat:
    """A thread that renews the leases of all executions in this process."""

    def __init__(self) -> None:
        self._tracers: set[Tracer] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()

    @contextmanager
    def for_job(self, tracer: Tracer) -> Iterator[None]:
        with self._lock:
            if not self._tracers:
                self._stop = threading.Event()
                threading.Thread(target=self._beat, args=[self._stop], daemon=True).start()
            self._tracers.add(tracer)
        try:
            yield
        finally:
            with self._lock:
                self._tracers.discard(tracer)
                if not self._tracers:
                    self._stop.set()

    def tracers(self) -> list[Tracer]:
        with self._lock:
            return list(self._tracers)

    def _beat(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(BEAT):
                for tracer in self.tracers():
                    self._renew(tracer)
        finally:
            connection.close()

    def _renew(self, tracer: Tracer) -> None:
        try:
            with organization_scope(tracer.organization_id):
                is_held = Execution.objects.filter(
                    pk=tracer.execution_id,
                    lease_generation=tracer.generation,
                    lease_expires_at__isnull=False,
                ).update(lease_expires_at=Now() + timedelta(seconds=LEASE))
                is_held = is_held and not end_if_it_may_not_run(tracer.execution_id)
        except Outage as error:
            logger.warning("database.unavailable", error=type(error).__name__)
            connection.close()
            return
        except Exception as error:  # one execution must not take the others' leases with it
            log_failure(error, "heartbeat.failed", execution=str(tracer.execution_id))
            connection.close()
            return
        if not is_held:
            tracer.mark_lost()


heartbeats = Heartbeat()
