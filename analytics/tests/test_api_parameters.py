"""The three analytics endpoints name the parameter that they refuse."""

from typing import Any

import pytest
import time_machine
from django.test import Client

from analytics.tests.endpoints import ACTIVITY, ENDPOINTS, NOW, TREND, USAGE
from analytics.tests.factories import make_timeless_key
from conftest import ClientFor
from organizations.models import Organization


@pytest.fixture(autouse=True)
def spring() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def client(organization: Organization, client_for: ClientFor) -> Client:
    make_timeless_key()
    return client_for(organization)


@pytest.mark.parametrize(
    "days",
    [
        "0",
        "-1",
        "91",
        "30.5",
        "abc",
        "",
        "٣",
        "1e3",
        " 1",
        "1 ",
        "0x10",
        "1_0",
        "+7",
        "NaN",
        "9" * 31,
    ],
)
@pytest.mark.parametrize("address", [TREND, ACTIVITY])
def test_other_days_are_refused_with_the_maximum_named(
    client: Client, address: str, days: str
) -> None:
    response = client.get(address, {"days": days})

    body = response.json()
    assert (response.status_code, body["code"]) == (400, "VALIDATION_ERROR")
    assert list(body["details"]) == ["days"]
    assert "90" in body["message"]


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "Mars/Base",
        "../../etc/passwd",
        "/etc/localtime",
        "localtime",
        "Europe",
        "posix/UTC",
        "right/UTC",
        "Europe/Berlin ",
        "Europe//Berlin",
        ".",
        "x" * 5_000,
    ],
)
@pytest.mark.parametrize("address", ENDPOINTS)
def test_a_name_that_is_no_zone_is_refused(client: Client, address: str, zone: str) -> None:
    response = client.get(address, {"tz": zone})

    assert response.status_code == 400
    assert list(response.json()["details"]) == ["tz"]


@pytest.mark.parametrize(
    "month",
    [
        *("", "2026", "2026-4", "2026-13", "2026-00", "2026-04-01", " 2026-04", "2026-04\n"),
        *("2026-05", "9999-12", "0000-01", "1999-12", "٢٠٢٦-٠٤"),
    ],
)
def test_a_month_must_be_written_in_full_and_have_begun(client: Client, month: str) -> None:
    response = client.get(USAGE, {"month": month})

    assert response.status_code == 400
    assert list(response.json()["details"]) == ["month"]


@pytest.mark.parametrize(
    ("address", "query", "named"),
    [
        (TREND, "dayz=7", "dayz"),
        (TREND, "days=7&days=8", "days"),
        (TREND, "month=2026-04", "month"),
        (TREND, "outcome=lost", "outcome"),
        (TREND, "outcome=", "outcome"),
        (TREND, "agentId=1", "agentId"),
        (TREND, "credentialId=x", "credentialId"),
        (TREND, "agentId={00000000-0000-0000-0000-000000000000}", "agentId"),
        (TREND, "format=xml", "format"),
        (ACTIVITY, "limit=5", "limit"),
        (USAGE, "days=30", "days"),
        (USAGE, "includeIdle=yes", "includeIdle"),
        (USAGE, "includeIdle=", "includeIdle"),
    ],
)
def test_unknown_repeated_and_wrong_parameters_are_refused_by_name(
    client: Client, address: str, query: str, named: str
) -> None:
    response = client.get(f"{address}?{query}")

    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION_ERROR")
    assert list(response.json()["details"]) == [named]


@pytest.mark.parametrize("query", ["days=1%00", "tz=UTC%00", "%00=1", "tz=%ED%A0%80", "month=%FF"])
@pytest.mark.parametrize("address", ENDPOINTS)
def test_bytes_that_are_no_text_are_refused(client: Client, address: str, query: str) -> None:
    assert client.get(f"{address}?{query}").status_code == 400
