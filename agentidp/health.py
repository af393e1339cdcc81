"""Health probes and metrics for operators."""

import hmac
import shutil
import time
from ipaddress import ip_address
from pathlib import Path

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)

from agentidp.checks import unapplied_migrations
from agentidp.env import BASE_DIR
from core import database_metrics
from core.cached_checks import CachedCheck
from core.database_metrics import background
from core.handlers import error_response
from core.partitions import months_without_partition
from core.protection import Problem, unprotected_meanwhile
from executions.file_storage import storage_problem

logger = structlog.get_logger(__name__)

FOR_THE_OPERATOR = "Metrics are for the operator of this server. Its log says what is missing."
MIN_FREE_SHARE = 0.05
CHECK_INTERVAL_SECONDS = 1.0
CHECK_PATIENCE_SECONDS = 3.0
JOB_IS_LATE_AFTER = 300.0
"""Seconds that the oldest job may wait before the check `queue` fails."""
SLOW_CHECK_INTERVAL_SECONDS = 10.0
NON_CRITICAL = frozenset({"worker", "queue", "files", "clock", "partitions"})
"""If these fail, background work is delayed, files are unavailable, new tokens are refused for a
while, or rows go to the default partition, but pages work."""


@login_not_required
@transaction.non_atomic_requests
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """Whether the process answers.

    Checks nothing else, so that an outage elsewhere causes no restarts.
    """
    return JsonResponse({"status": "ok"})


@login_not_required
@transaction.non_atomic_requests
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether this process can serve, and whether its dependencies are available.

    Tokens and pages need no worker: without one the process is degraded but keeps serving.
    """
    checks = readiness()
    if not all(passed for name, passed in checks.items() if name not in NON_CRITICAL):
        status = "unavailable"
    else:
        status = "ok" if all(checks.values()) else "degraded"
    body = {
        "status": status,
        "checks": {name: "ok" if passed else "failed" for name, passed in checks.items()},
    }
    return JsonResponse(body, status=503 if status == "unavailable" else 200)


def _run_checks() -> dict[str, bool]:
    disk = shutil.disk_usage(BASE_DIR)
    checks = {"disk": disk.free / disk.total > MIN_FREE_SHARE, "files": not files_problem()}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 500")
            cursor.execute(
                "SELECT count(*), extract(epoch FROM clock_timestamp()) "
                "FROM tokens_signingkey WHERE removed_at IS NULL"
            )
            _, there = cursor.fetchone()
            checks["database"] = True
            difference = abs(time.time() - float(there))
            checks["clock"] = difference <= settings.CLOCK_LEEWAY.total_seconds()
            cursor.execute("RESET statement_timeout")
        checks["migrations"] = not unapplied_migrations()
        if checks["migrations"]:
            checks["protection"] = not unprotected_tables()
            checks["partitions"] = not missing_partitions()
    except (DatabaseError, InterfaceError):
        connection.close()
        checks["database"] = False
        return checks
    if checks["migrations"]:
        snapshot = background()
        checks["worker"] = snapshot is not None and snapshot.workers > 0
        waited = max(snapshot.oldest_job.values(), default=0.0) if snapshot else JOB_IS_LATE_AFTER
        checks["queue"] = waited < JOB_IS_LATE_AFTER
    return checks


def _unprotected() -> list[Problem]:
    with connection.cursor() as cursor:
        return unprotected_meanwhile(cursor)


def _missing_partitions() -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        return months_without_partition(cursor)


files_problem = CachedCheck(storage_problem, SLOW_CHECK_INTERVAL_SECONDS)
"""Cached, because a bucket that does not answer takes two seconds to detect."""
unprotected_tables = CachedCheck(lambda: _unprotected(), SLOW_CHECK_INTERVAL_SECONDS)
missing_partitions = CachedCheck(lambda: _missing_partitions(), SLOW_CHECK_INTERVAL_SECONDS)
readiness = CachedCheck(
    lambda: _run_checks(),
    CHECK_INTERVAL_SECONDS,
    patience=CHECK_PATIENCE_SECONDS,
    overdue=lambda: {"database": False},
)
"""Cached, because the probe is public. A database that is frozen holds one thread, not all."""


@login_not_required
@transaction.non_atomic_requests
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics in Prometheus text format, for the bearer of AGENTIDP_METRICS_TOKEN, or if it is not
    set, for this machine."""
    if refusal := _why_not_scrape(request):
        logger.warning("metrics.refused", reason=refusal)
        return error_response(request, 403, message=FOR_THE_OPERATOR)
    registry = REGISTRY
    if folder := settings.METRICS_FOLDER:
        forget_ended_processes(Path(folder))
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    text = generate_latest(registry) + generate_latest(database_metrics.registry)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def forget_ended_processes(folder: Path) -> None:
    """Delete the live gauges of processes that have ended, even if they were killed."""
    for path in folder.glob("gauge_live*_*.db"):
        number = path.stem.rpartition("_")[2]
        if not Path("/proc", number).exists() and Path("/proc/self").exists():
            path.unlink(missing_ok=True)


def _why_not_scrape(request: HttpRequest) -> str:
    """Why the caller may not read the metrics, for the log, or "" if they may."""
    if settings.METRICS_TOKEN:
        given = request.META.get("HTTP_AUTHORIZATION", "").encode()
        if hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode()):
            return ""
        return "The bearer token is not that of AGENTIDP_METRICS_TOKEN."
    if settings.TRUSTED_PROXY_HOPS or "HTTP_X_FORWARDED_FOR" in request.META:
        return "Behind a proxy, metrics cannot be read until AGENTIDP_METRICS_TOKEN is set."
    if not _is_loopback(request.META.get("REMOTE_ADDR", "")):
        return "Other machines cannot read metrics until AGENTIDP_METRICS_TOKEN is set."
    # A website can resolve its own name to our address and use a browser on this machine.
    host = request.META.get("HTTP_HOST", "")
    name = split_domain_port(host)[0]
    if host and not (_is_loopback(name.strip("[]")) or validate_host(name, settings.ALLOWED_HOSTS)):
        return "The Host header does not name this server, and AGENTIDP_METRICS_TOKEN is not set."
    return ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
