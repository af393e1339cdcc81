"""The commands of the analytics guide, verbatim, with a token from curl."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.deployment import Deployment

pytestmark = pytest.mark.slow

SHOWN_ORIGIN = "http://localhost:3000"
COMMANDS = [
    """curl -s "http://localhost:3000/api/v1/analytics/tokens?days=30" \\
-H "Authorization: Bearer $TOKEN" | jq .""",
    """curl -s "http://localhost:3000/api/v1/analytics/tokens?days=7" \\
-H "Authorization: Bearer $TOKEN" | jq .""",
    """curl -s "http://localhost:3000/api/v1/analytics/tokens?days=90" \\
-H "Authorization: Bearer $TOKEN" | jq .""",
    """curl -s "http://localhost:3000/api/v1/analytics/agents/activity" \\
-H "Authorization: Bearer $TOKEN" | jq .""",
    """curl -s "http://localhost:3000/api/v1/analytics/agents" \\
-H "Authorization: Bearer $TOKEN" | jq .""",
]
JQ = """#!/usr/bin/env python3
import json, sys
print(json.dumps(json.load(sys.stdin), indent=2))
"""


@pytest.fixture
def run(deployment: Deployment, tmp_path: Path) -> Any:
    """Run a command of the guide, changing only a port that is taken."""
    (tmp_path / "jq").write_text(JQ)  # after the machine's own jq, if it has one
    (tmp_path / "jq").chmod(0o755)

    def run(command: str, **variables: str) -> Any:
        environment = os.environ | {"PATH": f"{os.environ['PATH']}:{tmp_path}"} | variables
        done = subprocess.run(
            ["bash", "-c", command.replace(SHOWN_ORIGIN, deployment.url)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture
def token(deployment: Deployment, run: Any) -> str:
    client = deployment.clients[-1]
    answer = run(
        'curl -s "http://localhost:3000/api/v1/token" -u "$CLIENT_ID:$CLIENT_SECRET" '
        "-d grant_type=client_credentials",
        CLIENT_ID=client.client_id,
        CLIENT_SECRET=client.client_secret,
    )
    return str(answer["access_token"])


def test_the_commands_answer_in_the_shapes_of_the_guide(
    deployment: Deployment, run: Any, token: str
) -> None:
    month, week, quarter, activity, agents = (run(command, TOKEN=token) for command in COMMANDS)

    client = deployment.clients[-1]
    for trend, days in ((month, 30), (week, 7), (quarter, 90)):
        assert set(trend) == {"tenantId", "days", "data"}
        assert trend["days"] == len(trend["data"]) == days
        assert all(set(entry) == {"date", "count"} for entry in trend["data"])
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", entry["date"]) for entry in trend["data"])
        assert [e["date"] for e in trend["data"]] == sorted(e["date"] for e in trend["data"])
        assert trend["data"][-1]["count"] >= 1
    assert {"tenantId", "data"} <= set(activity)
    assert all({"dow", "hour", "count"} <= set(cell) for cell in activity["data"])
    assert sum(cell["count"] for cell in activity["data"]) >= 1
    assert {"tenantId", "month", "data"} <= set(agents)
    assert client.client_id in [row["agentId"] for row in agents["data"]]
    for answer in (month, week, quarter, activity, agents):
        assert answer["tenantId"] == f"org-{client.organization_id}"


def test_more_days_than_the_maximum_are_refused_as_the_guide_says(run: Any, token: str) -> None:
    answer = run(COMMANDS[0].replace("days=30", "days=91"), TOKEN=token)

    assert answer["code"] == "VALIDATION_ERROR"
    assert "90" in answer["message"]
