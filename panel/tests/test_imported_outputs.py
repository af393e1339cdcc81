"""State and result of executions that were imported from a real kodosumi deployment."""

import json
from typing import Any

import pytest

from conftest import ClientFor
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from tests.kodosumi import REAL, import_folder


@pytest.fixture
def operator(organization: Organization) -> Membership:
    return make_membership(organization, "operator")


@pytest.fixture
def imported(organization: Organization) -> dict[str, dict[str, Any]]:
    """The imported executions of a kodosumi folder, and the expected facts about each."""
    import_folder(REAL, organization)
    expected = json.loads((REAL.parent / "expected.json").read_text())
    return {each["fid"]: each for each in expected["executions"]}


def test_every_real_execution_shows_its_state_and_result(
    organization: Organization,
    imported: dict[str, dict[str, Any]],
    operator: Membership,
    client_for: ClientFor,
) -> None:
    client = client_for(operator)

    for fid, known in imported.items():
        body = client.get(f"/outputs/status/{fid}").json()
        raw = client.get(f"/outputs/raw/{fid}").json()
        html = client.get(f"/outputs/html/{fid}")

        assert (body["status"], body["locks"]) == (known["status"], known["open_locks"])
        assert body["username"] == known["user_id"]
        assert body["entry_point"] == known["entry_point"]
        assert body["kodosumi_version"] == ("1.1.0" if known["entry_point"] else None)
        assert (body["summary"] or body["entry_point"] or "Unknown") == known["agent_name"]
        assert known["first_timestamp"] <= body["timestamp"] <= known["last_timestamp"]
        tag = "Text" if known["status"] == "error" else known["final_tag"]
        assert (tag and [tag]) == (body["final"] and list(json.loads(body["final"])))
        assert list(raw) == [tag or "Markdown"]
        assert html.status_code == 200


@pytest.mark.parametrize(
    ("fid", "message"),
    [
        ("6b02597a6cc24976f98e3f07", "the budget is used up"),
        ("6b02597a6cc24976f98e3f08", "first line of the message\nsecond line of the message"),
        ("6b02597a6cc24976f98e3f09", 'ValueError: cannot divide 7 by 0, see <config> & "docs"'),
        (
            "6b02597a6cc24976f98e3f0a",
            "ModuleNotFoundError: No module named 'studio.not_installed'",
        ),
        ("6b02598e6cc24976f98e3f12", "actor not found"),
    ],
)
def test_every_real_failure_has_a_message(
    imported: dict[str, dict[str, Any]],
    operator: Membership,
    client_for: ClientFor,
    fid: str,
    message: str,
) -> None:
    body = client_for(operator).get(f"/outputs/status/{fid}").json()

    assert json.loads(body["final"]) == {"Text": {"body": message}}
