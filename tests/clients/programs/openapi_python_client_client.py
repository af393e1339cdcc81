"""Generate a client with every operation, and call one of them."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

given = json.load(sys.stdin)
folder = Path(given["folder"])
config = folder / "openapi_python_client.json"
# As docs/reference/clients.md says.
config.write_text(
    json.dumps(
        {
            "content_type_overrides": {
                "application/jsonl": "text/plain",
                "application/x-ndjson": "application/octet-stream",
                "text/event-stream": "text/plain",
            },
            "post_hooks": [],
        }
    )
)
output = folder / "agentidp_client"
command = [sys.executable, "-S", "-m", "openapi_python_client", "generate", "--meta", "none"]
command += ["--path", given["schema"], "--output-path", str(output), "--config", str(config)]
command += ["--overwrite"]
done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
assert done.returncode == 0, done.stdout + done.stderr
assert "WARNING" not in done.stdout.upper(), done.stdout

sys.path.insert(0, str(folder))
from agentidp_client import AuthenticatedClient, api  # noqa: E402

names = {
    module.name.rpartition(".")[2]: module.name
    for module in pkgutil.walk_packages(api.__path__, "agentidp_client.api.")
    if not module.ispkg
}
for module in names.values():
    importlib.import_module(module)
with open(given["schema"], encoding="utf-8") as file:
    paths = json.load(file)["paths"]
wanted = {each["operationId"] for operations in paths.values() for each in operations.values()}
assert wanted == set(names), wanted ^ set(names)

client = AuthenticatedClient(base_url=given["url"], token=given["token"])
found = importlib.import_module(names["list_agents"]).sync(client=client)
assert found.total == len(found.data) == 3, found
