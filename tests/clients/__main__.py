"""Test third-party clients against our server: `python -m tests.clients [NAME ...]`.

Installs each in its own environment, prints a line for each, and exits with an error if one of them
failed.
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.clients.catalog import CLIENTS, Client
from tests.clients.environments import environment_of, folder_of, install, program_of
from tests.clients.ground import Ground, prepared
from tests.live import services
from tests.live.deployment import deployed
from tests.live.node import node

SECONDS = 300


def main() -> None:
    names = sys.argv[1:]
    wanted = [each for each in CLIENTS if not names or each.name in names]
    if not wanted:
        sys.exit(f"Known are: {', '.join(each.name for each in CLIENTS)}.")
    for client in wanted:
        install(client)
    with (
        tempfile.TemporaryDirectory(prefix="agentidp-clients-") as folder,
        deployed(durable=False, agents=3) as deployment,
    ):
        ground = prepared(deployment, Path(folder))
        failed = [client.name for client in wanted if not is_good(client, ground)]
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}.")
    say(f"All {len(wanted)} clients work.")


def is_good(client: Client, ground: Ground) -> bool:
    """Run the client and print the outcome; return whether it succeeded."""
    began = time.monotonic()
    try:
        with server_for(client, ground):
            done = run(client, ground)
        problem = done.stdout + done.stderr if done.returncode else ""
    except subprocess.TimeoutExpired:
        problem = f"It took longer than {SECONDS} s."
    seconds = time.monotonic() - began
    result = "FAILED" if problem else "works"
    say(f"{result:7} {client.name} {client.version}: {client.does} ({seconds:.0f} s)")
    if problem:
        say(problem[-3000:])
    return not problem


def run(client: Client, ground: Ground) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-S"] if client.is_python else node()
    facts = json.dumps(ground.facts)
    arguments = []
    if client.program.startswith("mcp_client"):
        arguments = [ground.resource, ground.deployment.url, ground.client.client_id]
        facts = ground.client.client_secret
    return subprocess.run(
        [*command, str(program_of(client)), *arguments],
        input=facts,
        env=environment_of(client),
        cwd=folder_of(client),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def server_for(client: Client, ground: Ground) -> AbstractContextManager[None]:
    """The MCP server of the documentation for the official MCP packages; nothing for others."""
    if not client.program.startswith("mcp_client"):
        return nullcontext()
    return services.mcp_server(ground.deployment, ground.resource, ground.folder / "mcp.log")


def say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
