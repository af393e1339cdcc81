"""The access log line equals structlog's, and a failure to write it fails no request."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from core.logs import log_request

FIELDS = {"method": "GET", "route": "agents/<id>é", "status": 200, "milliseconds": 1.5}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(root.handlers[0].formatter)
    root.addHandler(handler)
    yield handler.stream
    root.removeHandler(handler)


def test_the_access_line_is_the_one_that_structlog_writes(written: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="a" * 32, route="overridden"):
        log_request(FIELDS)
        structlog.get_logger("agentidp.access").info("request", **FIELDS)

    lines = re.sub(r'("timestamp": ")[^"]+', r"\1", written.getvalue()).splitlines()
    own, reference = lines
    assert own == reference
    assert json.loads(own)["request_id"] == "a" * 32


def test_the_level_of_the_log_silences_it(written: io.StringIO) -> None:
    access = logging.getLogger("agentidp.access")
    access.setLevel(logging.WARNING)
    try:
        log_request(FIELDS)
    finally:
        access.setLevel(logging.NOTSET)

    assert written.getvalue() == ""


def test_a_log_that_cannot_be_written_fails_no_request(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    written.close()

    log_request(FIELDS)
