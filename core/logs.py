"""JSON logs: one line per event, with the request's id and without secrets."""

import json
import logging
import logging.config
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import structlog

from core.failures import log_what_threads_raise, mask_sentence, without_secrets

_access = logging.getLogger("agentidp.access")
_encode = json.JSONEncoder(default=repr).encode
_lines: deque[str] = deque()
_is_writing = Lock()
MAX_LINES = 1_000
"""Lines that wait for the thread that is writing."""


def configure(settings: dict[str, Any]) -> None:
    """Django's LOGGING_CONFIG hook: structlog renders its own events and those of the libraries."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        mask_sentence,
        structlog.processors.ExceptionRenderer(without_secrets),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "json": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.JSONRenderer(),
                    ],
                    "foreign_pre_chain": shared,
                }
            },
            "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
            "root": {"handlers": ["console"], "level": settings.get("level", "INFO")},
            "loggers": {
                # The access log line covers these in one event, without the path and the query
                # string. core.failures logs unhandled errors.
                "django.request": {"level": "CRITICAL"},
                # Refusals: the access log line and one with the reason cover them, without a
                # traceback.
                "django.security": {"level": "CRITICAL"},
                "django.server": {"level": "ERROR"},
                # Every glyph that core.fonts keeps.
                "fontTools": {"level": "WARNING"},
                # Registrations that every command would log when it starts.
                "procrastinate.blueprints": {"level": "WARNING"},
                "procrastinate.jobs": {"level": "WARNING"},
                "procrastinate.periodic": {"level": "WARNING"},
            },
        }
    )
    log_what_threads_raise()


def log_request(fields: Mapping[str, Any]) -> None:
    """Write the access log line.

    It equals what structlog would write for `agentidp.access`, at a fifth of the cost; every
    request writes one.
    """
    if not _access.isEnabledFor(logging.INFO):
        return
    bound = structlog.contextvars.get_contextvars()
    line = {
        **fields,
        "event": "request",
        **{name: value for name, value in bound.items() if name not in fields},
        "level": "info",
        "logger": _access.name,
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    _write(_encode(line))


def _write(line: str) -> None:
    """Write the line, or leave it to the thread that is writing, which takes all it finds at once.

    So no request waits for the log of another one, which would cost more than writing: a thread
    that writes lets others run. Only an empty queue ends the writing, so no line is left behind.
    While nobody reads the log, everybody waits in the end, as without a queue.
    """
    _lines.append(line + "\n")
    while _lines and _is_writing.acquire(blocking=len(_lines) > MAX_LINES):
        try:
            text = "".join(_lines.popleft() for _ in range(len(_lines)))
            for handler in logging.root.handlers:
                if isinstance(handler, logging.StreamHandler):
                    _emit(handler, text)
        finally:
            _is_writing.release()


def _emit(handler: "logging.StreamHandler[Any]", text: str) -> None:
    """Like the handler's own `emit`: what cannot be written fails no request."""
    handler.acquire()
    try:
        handler.stream.write(text)
        handler.flush()
    except Exception:
        handler.handleError(logging.makeLogRecord({"msg": text}))
    finally:
        handler.release()
