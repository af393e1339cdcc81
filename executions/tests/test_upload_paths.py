"""The paths of files: plain ones are kept, others refused."""

from collections.abc import Callable

import pytest
from django.test import Client

from agents.tests.factories import make_agent
from executions.tests.engine import post, report
from organizations.models import Organization


@pytest.fixture
def client(organization: Organization, client_for: Callable[..., Client]) -> Client:
    return client_for(make_agent(organization))


BAD_PATHS = [
    "",
    "..",
    "../x",
    "a/../b",
    "a/..",
    "%2e%2e/x",
    "..%2fx",
    "a%2fb",
    "a%5Cb",
    "..\\x",
    "/etc/passwd",
    "//x",
    "a//b",
    "a/",
    "./a",
    "C:/x",
    "c:x",
    "CON",
    "nul.txt",
    "a/COM1",
    "x" * 256,
    "ä" * 128,
    "/".join(["x" * 100] * 11),
    "-rf",
    ".git/config",
    "~root",
    "trailing.",
    "trailing ",
    "a\nb",
    "a\x1b[31m",
    "gpj.\u202eexe.txt",
    "a\u2028b",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_leads_elsewhere_is_refused_by_name(client, path):
    url = report(client)

    answer = post(client, f"{url}/files", {"area": "out", "path": path, "size": 1}, 400)

    assert "path" in answer["details"]


@pytest.mark.parametrize(
    "path",
    [
        "report.txt",
        "Übersicht März 2026 (final).csv",
        "tief/er/Straße & Co.txt",
        "10:30 talk",
        "100%.txt",
    ],
)
def test_a_plain_path_is_kept_as_it_is(client, path):
    url = report(client)

    answer = post(client, f"{url}/files", {"area": "out", "path": path, "size": 1}, 201)

    assert answer["path"] == path
