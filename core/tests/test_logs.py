"""The access log line equals structlog's, and a failure to write it fails no request."""

import io
import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest
import structlog

from core import logs
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


class SlowLog(io.StringIO):
    """A log whose first line is being written until `may_go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.is_writing, self.may_go_on = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.is_writing.set()
        assert self.may_go_on.wait(10)
        return super().write(text)


def test_no_request_waits_for_the_line_of_another(written: io.StringIO) -> None:
    log = SlowLog()
    logging.getLogger().handlers[-1].setStream(log)
    first = threading.Thread(target=log_request, args=[FIELDS | {"status": 201}])
    first.start()
    assert log.is_writing.wait(10)

    for status in (202, 203):
        log_request(FIELDS | {"status": status})  # returns although nobody can write

    assert log.getvalue() == ""
    log.may_go_on.set()
    first.join(10)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["status"] for line in lines] == [201, 202, 203]


def test_every_line_of_many_threads_is_written_once(written: io.StringIO) -> None:
    def log_many(number: int) -> None:
        for status in range(200):
            log_request(FIELDS | {"method": str(number), "status": status})

    threads = [threading.Thread(target=log_many, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert len(lines) == 8 * 200
    assert len({(line["method"], line["status"]) for line in lines}) == 8 * 200


def test_few_lines_wait_for_a_log_that_nobody_reads(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_LINES", 20)
    log = SlowLog()
    logging.getLogger().handlers[-1].setStream(log)

    def log_many() -> None:
        for _ in range(50):
            log_request(FIELDS)

    threads = [threading.Thread(target=log_many) for _ in range(6)]
    threads[0].start()
    assert log.is_writing.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(logs._lines) < 20 + 5:  # each of the five others has one more, and waits
        threading.Event().wait(0.001)

    assert all(thread.is_alive() for thread in threads)
    log.may_go_on.set()
    for thread in threads:
        thread.join(10)
    assert len(log.getvalue().splitlines()) == 6 * 50
