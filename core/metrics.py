"""Prometheus metrics. Labels are bounded: route templates, methods and status codes, never ids."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # they would double the number of series, and no rule uses them
http_requests = Counter("http_requests", "HTTP requests.", ["method", "route", "status_code"])
http_request_seconds = Histogram(
    "http_request_seconds",
    "Duration of HTTP requests in seconds.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@cache
def _series(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Cached, because the library looks a series up under a lock and formats each label again."""
    return (
        http_requests.labels(method, route, status),
        http_request_seconds.labels(route),
    )


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count a completed request; `route` is the pattern of its URL, never the URL itself."""
    completed, duration = _series(method, route, status)
    completed.inc()
    duration.observe(seconds)


token_requests = Counter(
    "agentidp_token_requests", "Requests for access tokens.", ["outcome", "reason"]
)


@cache
def token_requests_with(outcome: str, reason: str) -> Counter:
    """Cached for the same reason as `_series`."""
    return token_requests.labels(outcome, reason)


open_streams = Gauge("agentidp_open_streams", "Open live streams.", multiprocess_mode="livesum")
requests_in_progress = Gauge(
    "agentidp_requests_in_progress",
    "Requests that a thread of an ASGI server handles, or that wait for a thread.",
    multiprocess_mode="livesum",
)
slow_readers = Counter(
    "agentidp_slow_readers", "Connections closed because the client did not read the response."
)
