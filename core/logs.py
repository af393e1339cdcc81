"""JSON logs, one line an event, with the request's id and never a secret."""

import json
import logging
import logging.config
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from core.failures import log_what_threads_raise, mask_sentence, without_secrets

_access = logging.getLogger("agentidp.access")
_encode = json.JSONEncoder(default=repr).encode


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
                # The access line says the same in one event, without the path and the query
                # string. What nobody handled is logged by core.failures.
                "django.request": {"level": "CRITICAL"},
                # Refusals: their access line and one on the reason, without a traceback.
                "django.security": {"level": "CRITICAL"},
                "django.server": {"level": "ERROR"},
                # What it registers at every start of every command.
                "procrastinate.blueprints": {"level": "WARNING"},
                "procrastinate.jobs": {"level": "WARNING"},
                "procrastinate.periodic": {"level": "WARNING"},
            },
        }
    )
    log_what_threads_raise()


def log_request(fields: Mapping[str, Any]) -> None:
    """The access line: what structlog would write of `agentidp.access` and this event, at a fifth
    of the cost. Every request writes one, and an error is never in it."""
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
    text = _encode(line)
    for handler in logging.root.handlers:
        if isinstance(handler, logging.StreamHandler):
            _write(handler, text)


def _write(handler: "logging.StreamHandler[Any]", text: str) -> None:
    """As the handler's own `emit`: what cannot be written fails no request."""
    handler.acquire()
    try:
        handler.stream.write(text + handler.terminator)
        handler.flush()
    except Exception:
        handler.handleError(logging.makeLogRecord({"msg": text}))
    finally:
        handler.release()
