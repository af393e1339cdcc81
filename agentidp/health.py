"""Probes and metrics for operators."""

import hmac
import shutil
import time
from ipaddress import ip_address
from threading import Lock

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, multiprocess

from agentidp.checks import unapplied_migrations
from agentidp.env import BASE_DIR, env
from agentidp.handlers import error_response

logger = structlog.get_logger(__name__)

FOR_THE_OPERATOR = "Metrics are for whoever runs this server. Its log says what is missing."
MINIMUM_FREE_SHARE = 0.05
SECONDS_BETWEEN_LOOKS = 1.0


@login_not_required
@transaction.non_atomic_requests
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing else, so that an outage elsewhere restarts nobody."""
    return JsonResponse({"status": "ok"})


@login_not_required
@transaction.non_atomic_requests
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Whether this process can serve: database, migrations, signing key, disk."""
    checks = readiness.checks()
    is_ready = all(checks.values())
    body = {
        "status": "ok" if is_ready else "unavailable",
        "checks": {name: "ok" if passed else "failed" for name, passed in checks.items()},
    }
    return JsonResponse(body, status=200 if is_ready else 503)


class Readiness:
    """What readyz tells. Anybody may ask: everything is looked at once a second at most, and by
    one caller, however many ask at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[str, bool] = {}
        self._until = 0.0

    def checks(self) -> dict[str, bool]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._known = _look()
                self._until = time.monotonic() + SECONDS_BETWEEN_LOOKS
            return self._known

    def forget(self) -> None:
        self._until = 0.0


readiness = Readiness()


def _look() -> dict[str, bool]:
    disk = shutil.disk_usage(BASE_DIR)
    checks = {"disk": disk.free / disk.total > MINIMUM_FREE_SHARE}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 500")
            cursor.execute("SELECT count(*) FROM tokens_signingkey WHERE removed_at IS NULL")
            checks["database"] = cursor.fetchone() is not None
            cursor.execute("RESET statement_timeout")
        checks["migrations"] = not unapplied_migrations()
    except (DatabaseError, InterfaceError):
        connection.close()
        checks["database"] = False
    return checks


@login_not_required
@transaction.non_atomic_requests
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for the bearer of AGENTIDP_METRICS_TOKEN; without one, for this machine."""
    if refusal := _why_not_scrape(request):
        logger.warning("metrics.refused", reason=refusal)
        return error_response(request, 403, message=FOR_THE_OPERATOR)
    registry = None
    if env.str("PROMETHEUS_MULTIPROC_DIR", default=""):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    text = generate_latest(registry) if registry else generate_latest()
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _why_not_scrape(request: HttpRequest) -> str:
    """For the log; empty when the caller may read the metrics."""
    if settings.METRICS_TOKEN:
        given = request.META.get("HTTP_AUTHORIZATION", "").encode()
        if hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode()):
            return ""
        return "The bearer token is not that of AGENTIDP_METRICS_TOKEN."
    if settings.TRUSTED_PROXY_HOPS or "HTTP_X_FORWARDED_FOR" in request.META:
        return "Behind a proxy nobody reads metrics before AGENTIDP_METRICS_TOKEN is set."
    if not _is_loopback(request.META.get("REMOTE_ADDR", "")):
        return "Other machines cannot read metrics before AGENTIDP_METRICS_TOKEN is set."
    # A site can give its own name our address, and have a browser on this machine ask.
    name = split_domain_port(request.META.get("HTTP_HOST", ""))[0]
    if not (_is_loopback(name.strip("[]")) or validate_host(name, settings.ALLOWED_HOSTS)):
        return "The Host is not one of ours, and AGENTIDP_METRICS_TOKEN is not set."
    return ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
