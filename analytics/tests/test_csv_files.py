"""CSV follows RFC 4180 and never contains formulas (ASVS 5.0, 1.2.10)."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client

from agents.tests.factories import make_agent
from analytics.tests.factories import make_event, make_timeless_key
from conftest import ClientFor
from core.csv_files import csv_text
from organizations.models import Organization

NOW = datetime(2026, 4, 4, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def spring() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    make_timeless_key()
    return client_for(organization)


@pytest.mark.parametrize("start", [*"=+-@\t\r\n\0", *"\uff1d\uff0b\uff0d\uff20"])
def test_text_that_could_start_a_formula_is_disarmed(start: str) -> None:
    text = csv_text(["name"], [[f"{start}cmd()"]])

    (cell,) = list(csv.reader(io.StringIO(text, newline="")))[1]
    assert cell.startswith("'")
    assert "\0" not in text


def test_commas_quotes_and_line_ends_survive() -> None:
    values = ["a,b", 'say "x"', "two\nlines", "", "é"]

    text = csv_text(["a", "b", "c", "d", "e"], [values])

    assert text.startswith("a,b,c,d,e\r\n")
    assert text.endswith("\r\n")
    assert list(csv.reader(io.StringIO(text, newline="")))[1] == values


def test_numbers_stay_numbers() -> None:
    assert csv_text(["n"], [[-3], [None]]) == 'n\r\n-3\r\n""\r\n'


@pytest.mark.parametrize(
    ("name", "file", "header"),
    [
        ("tokens", "issued-per-day-2026-03-06-to-2026-04-04.csv", "date,count"),
        ("agents/activity", "requests-by-hour-2026-03-06-to-2026-04-04.csv", "dow,hour,count"),
        (
            "agents",
            "tokens-per-agent-2026-04-01-to-2026-04-30.csv",
            "agentId,agentName,tokenCount",
        ),
    ],
)
@pytest.mark.parametrize("how", ["header", "parameter"])
def test_every_answer_comes_as_a_file(
    organization: Organization, client: Client, name: str, file: str, header: str, how: str
) -> None:
    make_event(make_agent(organization, email="=cmd@agents.example.com"), NOW)
    address = f"/api/v1/analytics/{name}"

    if how == "header":
        response = client.get(address, headers={"Accept": "text/csv"})
    else:
        response = client.get(address, {"format": "csv"})

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="{file}"'
    lines = response.content.decode().split("\r\n")
    assert lines[0] == header
    assert lines[-1] == ""
    if name == "agents":
        assert lines[1].split(",")[1:] == ["'=cmd", "1"]


def test_an_error_is_json_even_for_those_who_asked_for_csv(client: Client) -> None:
    response = client.get("/api/v1/analytics/tokens", {"format": "csv", "days": "91"})

    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"
    assert response.json()["code"] == "VALIDATION_ERROR"
