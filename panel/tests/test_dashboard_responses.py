"""Our dashboard answers about an imported folder as a real kodosumi 1.1.0 answered about the
original.

The documented corrections are the only differences: `awaiting`, readable errors, working links, and
fields that kodosumi does not have.
"""

import json
from collections import Counter
from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from organizations.models import Organization
from organizations.tests.factories import make_membership
from tests.kodosumi import REAL, import_folder

ALL = "hours=999999"
AWAITING = {"6b0259a66cc24976f98e3f14", "6b0259a66cc24976f98e3f15"}
MESSAGES = {
    "6b02597a6cc24976f98e3f07": "the budget is used up",
    "6b02597a6cc24976f98e3f08": "first line of the message\nsecond line of the message",
    "6b02597a6cc24976f98e3f09": 'ValueError: cannot divide 7 by 0, see <config> & "docs"',
    "6b02597a6cc24976f98e3f0a": "ModuleNotFoundError: No module named 'studio.not_installed'",
    "6b02597e6cc24976f98e3f0c": "TimeoutError: Lock aa00ae2d-8b62-46b6-9fb6-cb5b679ca865 expired "
    "at1795316099.8998983",
    "6b02598e6cc24976f98e3f12": "actor not found",
}


@pytest.fixture
def deployment(organization: Organization) -> Organization:
    import_folder(REAL, organization)
    return organization


@pytest.fixture
def client(deployment: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(deployment, "operator"))


def answer(name: str) -> Any:
    return json.loads((REAL.parent / "answers" / f"{name}.json").read_text())


def get(client: Client, path: str) -> Any:
    response = client.get(f"/api/dashboard/{path}")
    assert response.status_code == 200, response.content
    return response.json()


def corrected(execution: dict[str, Any]) -> dict[str, Any]:
    """The execution as kodosumi should have described it."""
    is_awaiting = execution["fid"] in AWAITING
    status = "awaiting" if is_awaiting else execution["status"]
    assert (execution["error"] is None) == (execution["fid"] not in MESSAGES)
    return execution | {"status": status, "error": MESSAGES.get(execution["fid"])}


def test_running_agents(client: Client) -> None:
    theirs = answer("running-agents")

    ours = get(client, f"running-agents?{ALL}")

    assert ours == {
        "total": theirs["total"],
        "agents": [corrected(execution) for execution in theirs["agents"]],
        "filters": theirs["filters"] | {"tag": None},
        "limit": 1000,
        "offset": 0,
        "has_more": False,
        "next_cursor": None,
    }


def test_timeline(client: Client) -> None:
    theirs = answer("timeline")

    ours = get(client, f"timeline?{ALL}")

    assert ours["total"] == theirs["total"]
    assert ours["executions"] == [corrected(execution) for execution in theirs["executions"]]


def test_errors(client: Client) -> None:
    theirs = answer("errors")

    ours = get(client, f"errors?{ALL}&limit=1000")

    assert ours["total"] == theirs["total"] == len(ours["errors"])
    for our, their in zip(ours["errors"], theirs["errors"], strict=True):
        assert {name: our[name] for name in ("fid", "user_id", "timestamp")} == {
            name: their[name] for name in ("fid", "user_id", "timestamp")
        }
        message, said = MESSAGES[our["fid"]], their["error"]["error"]
        trace = {} if said == message else {"traceback": said}
        assert (our["message"], our["error"]) == (message, {"error": message, **trace})


def test_agent_stats(client: Client) -> None:
    theirs = answer("agent-stats")
    names = Counter(execution["agent_name"] for execution in answer("timeline")["executions"])
    runtimes = sorted(execution["runtime"] for execution in answer("timeline")["executions"])

    ours = get(client, "agent-stats")

    assert ours["by_status"] == {"error": 6, "finished": 18, "running": 2, "awaiting": 2}
    assert theirs["by_status"] == {"error": 6, "finished": 18, "running": 4}
    for name in ("total_executions", "by_user", "error_rate"):
        assert ours[name] == theirs[name]
    assert ours["avg_runtime"] == pytest.approx(theirs["avg_runtime"], rel=1e-12)
    assert ours["by_agent"] == names
    assert ours["running"] == 2
    assert set(ours["user_map"].values()) == {"admin", "jonas", "mira"}
    # kodosumi's is the elapsed time; AgentIdP's excludes the time spent waiting for answers.
    assert 0 < ours["p50_runtime"] < (runtimes[13] + runtimes[14]) / 2


@pytest.mark.parametrize("fid", ["6b0259846cc24976f98e3f0e", "6b02597e6cc24976f98e3f0b"])
def test_details(client: Client, fid: str) -> None:
    theirs = answer(f"details-{fid}")

    ours = get(client, f"execution/{fid}/details")

    assert ours == theirs | {"limit": 10_000, "offset": 0, "has_more": False, "next_cursor": None}


@pytest.mark.parametrize(
    ("fid", "nested"),
    [
        (
            "6b0259846cc24976f98e3f0e",
            {
                "in/sub folder/with space.csv": "in/sub%20folder/with%20space.csv",
                "out/Unter ordner/bild.bin": "out/Unter%20ordner/bild.bin",
                "out/Unter ordner/tief/Straße & Co.txt": "out/Unter%20ordner/tief/"
                "Stra%C3%9Fe%20%26%20Co.txt",
            },
        ),
        ("6b0259846cc24976f98e3f0f", {}),
    ],
)
def test_files(client: Client, fid: str, nested: dict[str, str]) -> None:
    theirs = answer(f"files-{fid}")

    ours = get(client, f"execution/{fid}/files")

    for kind in ("uploads", "downloads"):
        assert without_urls(ours[kind]) == without_urls(theirs[kind])
    for name in ("fid", "upload_count", "download_count"):
        assert ours[name] == theirs[name]
    found = ours["nested_uploads"] + ours["nested_downloads"]
    assert {file["path"]: file["url"] for file in found} == {
        path: f"/files/{fid}/{quoted}" for path, quoted in nested.items()
    }
    assert all(file["url"].startswith(f"/files/{fid}/") for file in ours["uploads"])


def without_urls(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The files in a fixed order, since kodosumi's is that of the file system."""
    files = [{key: file[key] for key in ("name", "size", "path")} for file in files]
    return sorted(files, key=lambda file: file["path"])


def test_a_link_names_umlauts_and_blanks(client: Client) -> None:
    ours = get(client, "execution/6b0259846cc24976f98e3f0e/files")

    assert ours["uploads"][0]["url"] == (
        "/files/6b0259846cc24976f98e3f0e/in/Bericht%20Gr%C3%B6%C3%9Fe.txt"
    )


@pytest.mark.parametrize("path", ["details", "files"])
def test_a_deleted_execution_is_unknown(client: Client, path: str) -> None:
    response = client.get(f"/api/dashboard/execution/6b02598a6cc24976f98e3f11/{path}")

    assert (response.status_code, response.json()["code"]) == (404, "EXECUTION_NOT_FOUND")


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("user=jonas", 11),
        ("user=620c87bd-555c-49e6-9cf1-8dc23f6a72b2", 11),
        ("status=AWAITING", 2),
        ("agent_name=text+to", 3),
        ("search=mira", 10),
        ("search=6b0259AA", 1),
        ("search=budget", 1),
        ("search=16b58f43&status=finished", 7),
        ("user=nobody+at+all", 0),
    ],
)
def test_filters(client: Client, query: str, number: int) -> None:
    agents = get(client, f"running-agents?{ALL}&{query}")
    timeline = get(client, f"timeline?{ALL}&{query}")
    stats = get(client, f"agent-stats?{query}")

    assert agents["total"] == len(agents["agents"]) == number
    assert timeline["total"] == len(timeline["executions"]) == number
    assert stats["total_executions"] == number
