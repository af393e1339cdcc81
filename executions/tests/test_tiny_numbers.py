"""Numbers for which PostgreSQL's arithmetic fails keep no run from ending."""

import json
from typing import Any

import pytest
from django.test import Client

from executions.tests.engine import append, line, post, report
from organizations.models import Organization

SMALLEST = [5e-324, 1e-310, 2.3e-308, 1e-300, 1e-20, 1e-7, 0.0, -0.0]


@pytest.fixture
def client(organization: Organization, client_for: Any) -> Client:
    made: Client = client_for(organization, scopes="executions:write executions:read")
    return made


@pytest.mark.parametrize("seconds", SMALLEST)
def test_a_run_with_such_a_time_ends_and_is_counted(client: Client, seconds: float) -> None:
    url = report(client)
    append(client, url, line("a", timestamp=seconds), line("b", timestamp=2 * seconds))

    assert post(client, f"{url}/finish", {"status": "finished"})["status"] == "finished"


@pytest.mark.parametrize("amount", SMALLEST)
def test_a_run_with_such_a_cost_ends(client: Client, amount: float) -> None:
    url = report(client)
    cost = {"gen_ai.usage.cost": amount}
    append(client, url, {"kind": "meta", "message": json.dumps({"cost": amount} | cost)})

    assert post(client, f"{url}/finish", {"status": "finished"})["status"] == "finished"
