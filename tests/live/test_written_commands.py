"""The documentation's commands, run as printed, with a whole page in one shell.

Every request must succeed: a 4xx ends the shell. What a request prints must end its line, so that
the prompt stands on the next one. Only placeholders are replaced.
"""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.deployment import OWNER, OWNER_PASSWORD, PROJECT, Deployment, deployed

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED_BLOCK = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
SHOWN_ORIGINS = ("http://localhost:3000", "https://id.example.com")

SHELL = """
set -euo pipefail
exec 3>&1
curl() {
  command curl --fail-with-body --max-time 30 "$@"
  [[ /dev/fd/1 -ef /dev/fd/3 ]] && echo PROMPT >&3 || true
}
jq() {
  python3 -c 'import json, sys
value = json.load(sys.stdin)
print(value if sys.argv[-1] == "." else value[sys.argv[-1][1:]])' "$@"
}
"""
AGENT_TOKEN = """
BASE=http://localhost:3000
token() {
  curl -s $BASE/api/v1/token -d grant_type=client_credentials -u "$CLIENT_ID:$CLIENT_SECRET" \\
    | jq .access_token
}
"""
ENDED_RUN = """
TOKEN=$(token)
FID=$(curl -s $BASE/api/v1/executions -H "Authorization: Bearer $TOKEN" \\
  -H "Content-Type: application/json" -d '{"summary": "Ended"}' | jq .executionId)
curl -s -X POST $BASE/api/v1/executions/$FID/stop -H "Authorization: Bearer $TOKEN" > /dev/null
"""
OWNER_TOKEN = f"""
TOKEN=$(curl -s $BASE/api/v1/auth/login -H "Content-Type: application/json" \\
  -d '{{"email": "{OWNER}", "password": "{OWNER_PASSWORD}"}}' | jq .accessToken)
"""
FIRST = """ -H "Authorization: Bearer $TOKEN" | python3 -c 'import json, sys
print(json.load(sys.stdin)["data"][0]["%s"])')"""
FAILED_RUN = """
JSON="Content-Type: application/json" AUTH="Authorization: Bearer $(token)"
FID=$(curl -s $BASE/api/v1/executions -H "$AUTH" -H "$JSON" -d '{"summary": "Fails"}' \\
  | jq .executionId)
curl -s $BASE/api/v1/executions/$FID/finish -H "$AUTH" -H "$JSON" \\
  -d '{"status": "error", "error": "OSError: gone"}' > /dev/null
"""
ADA = {'"ada@example.com"': f'"{OWNER}"', '"password": "…"': f'"password": "{OWNER_PASSWORD}"'}


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """A deployment of their own, since the pages change and delete what they find."""
    with deployed(durable=False, agents=2) as running:
        yield running


Page = tuple[str, str, dict[str, str]]
PAGES: list[Page] = [
    ("README.md", "", {}),
    (
        "docs/tutorial.md",
        "",
        {"\nmake demo\n": "\n", "CLIENT_ID=…": "", "CLIENT_SECRET=sk_live_…": ""},
    ),
    ("docs/how-to/report-executions.md", "", {}),
    (
        "docs/how-to/follow-an-execution.md",
        AGENT_TOKEN + ENDED_RUN,
        {
            "-d name=admin -d password=admin": (
                f'--data-urlencode "name={OWNER}" --data-urlencode "password={OWNER_PASSWORD}"'
            ),
            '"name": "admin", "password": "admin"': (
                f'"name": "{OWNER}", "password": "{OWNER_PASSWORD}"'
            ),
        },
    ),
    (
        "docs/how-to/accept-tokens.md",
        AGENT_TOKEN
        + 'AGENTS_TOKEN=$(token) SERVICE_ID=$CLIENT_ID SERVICE_SECRET="$CLIENT_SECRET"\n',
        {
            **ADA,
            "CLIENT_ID=…": ": …",
            "RESOURCE=…": f"RESOURCE=$(curl -s $BASE/api/v1/resources{FIRST % 'resourceId'}",
        },
    ),
    (
        "docs/how-to/people.md",
        "",
        {
            **ADA,
            "=org-…": f"=$(curl -s $BASE/api/v1/organizations{FIRST % 'organizationId'}",
            "python manage.py password_reset_link grace@example.com": (
                f"{sys.executable} {PROJECT}/manage.py password_reset_link {OWNER}"
            ),
        },
    ),
    (
        "docs/how-to/rotate-client-secrets.md",
        "",
        {
            '"email": "admin", "password": "admin"': (
                f'"email": "{OWNER}", "password": "{OWNER_PASSWORD}"'
            ),
            "AGENT=…": "AGENT=$SPARE_ID",
            "CREDENTIAL=…": "CREDENTIAL=$(curl -s $BASE/api/v1/agents/$AGENT/credentials"
            + FIRST % "credentialId",
        },
    ),
    (
        "docs/how-to/look-into-a-failed-run.md",
        AGENT_TOKEN + FAILED_RUN,
        {
            '"email": "admin", "password": "admin"': (
                f'"email": "{OWNER}", "password": "{OWNER_PASSWORD}"'
            ),
            "GROUP=…": "GROUP=$(curl -s $BASE/api/dashboard/error-groups"
            + (FIRST % "fingerprint").replace("data", "groups"),
        },
    ),
    ("docs/reference/audit.md", AGENT_TOKEN + OWNER_TOKEN, {}),
]


def commands(page: str) -> str:
    """The commands on the page, in order."""
    text = (PROJECT / page).read_text()
    if "```" in text:
        return "\n".join(block for language, block in BLOCK.findall(text) if not language)
    blocks = map(textwrap.dedent, INDENTED_BLOCK.findall(text))
    return "\n".join(block for block in blocks if re.search("^(TOKEN|curl)", block, re.MULTILINE))


@pytest.mark.parametrize(("page", "before", "filled_in"), PAGES, ids=[page for page, *_ in PAGES])
def test_a_page_can_be_followed_to_its_end(
    deployment: Deployment, tmp_path: Path, page: str, before: str, filled_in: dict[str, str]
) -> None:
    written = commands(page)
    for shown, value in filled_in.items():
        assert shown.strip() in written, f"{page} no longer says {shown}"
        written = f"\n{written}".replace(shown, value)
    assert "curl" in written
    script = SHELL + before + written
    for origin in SHOWN_ORIGINS:
        script = script.replace(origin, deployment.url)
    (tmp_path / "docs").symlink_to(PROJECT / "docs")
    client, spare = deployment.clients[:2]
    done = subprocess.run(
        ["bash", "-c", script],
        env={
            **os.environ,
            **deployment.server.environment,
            "CLIENT_ID": client.client_id,
            "CLIENT_SECRET": client.client_secret,
            "SPARE_ID": spare.client_id,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("PROMPT") == done.stdout.splitlines().count("PROMPT"), done.stdout
