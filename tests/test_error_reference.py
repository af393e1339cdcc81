"""docs/reference/errors.md lists exactly the codes that responses can have."""

import re
from collections.abc import Iterator

from django.urls import get_resolver

from agentidp.env import BASE_DIR
from core.errors import CODES, DomainError
from core.outages import AWAY, TIMEOUTS

PAGE = BASE_DIR / "docs" / "reference" / "errors.md"
ROW = re.compile(r"^\| (\d{3}) \| (.*?) \|", re.MULTILINE)
OF_BODIES_AND_RANGES = {(408, "REQUEST_TIMEOUT"), (416, "RANGE_NOT_SATISFIABLE")}
"""Errors defined beside their responses, in asgi_bridge.py and downloads.py."""


def kinds(of: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


def test_the_page_names_every_code_with_its_status_and_no_other() -> None:
    assert get_resolver().url_patterns  # loads every module with views
    ours = {(int(kind.status), kind.code) for kind in kinds() if ".tests." not in kind.__module__}
    ours |= {(503, outage.code) for outage in (AWAY, *TIMEOUTS.values())}
    described = {
        (int(status), code)
        for status, codes in ROW.findall(PAGE.read_text())
        for code in re.findall("[A-Z_]+", codes)
    }

    assert described == ours | set(CODES.items()) | OF_BODIES_AND_RANGES
