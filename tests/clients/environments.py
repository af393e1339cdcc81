"""Separate environments for the clients in .venv/clients/, because their versions are not ours."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from agentidp.devtools.bootstrap import ENVIRONMENT, PYTHON, npm, pip
from tests.clients.catalog import Client
from tests.live.deployment import PROJECT

FOLDER = ENVIRONMENT / "clients"
PROGRAMS = Path(__file__).parent / "programs"
LIVE = PROJECT / "tests" / "live"
EXAMPLES = PROJECT / "docs" / "examples"


def folder_of(client: Client) -> Path:
    return FOLDER / client.name.replace("/", "-").removeprefix("@")


def install(client: Client) -> None:
    """Install the client's packages unless they are installed already."""
    folder = folder_of(client)
    wanted = hashlib.sha256(json.dumps(client.packages).encode()).hexdigest()
    mark = folder / ".installed"
    if mark.exists() and mark.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not client.is_python:
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        shutil.copy(PROJECT / ".npmrc", folder)
        command = [*npm(), "install", "--loglevel=error", "--no-audit", "--no-fund"]
        _run([*command, *client.packages], folder)
    elif shutil.which("uv"):
        options = ["--quiet", "--python", PYTHON, "--target", folder]
        _run(["uv", "pip", "install", *options, *client.packages], PROJECT)
    else:
        options = ["-qq", "--no-compile", "--disable-pip-version-check", "--target", folder]
        _run([*pip(), "install", *options, *client.packages], PROJECT)
    mark.write_text(wanted)


def _run(command: list[object], folder: Path) -> None:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nThis step failed: {' '.join(map(str, command))}")


def program_of(client: Client) -> Path:
    """The file to run. Node.js resolves packages beside it, so it gets a copy there."""
    found = PROGRAMS / client.program
    if not found.exists():
        found = LIVE / client.program
    if client.is_python:
        return found
    return Path(shutil.copy(found, folder_of(client)))


def environment_of(client: Client) -> dict[str, str]:
    """Variables with which `python -S` finds the client's packages but not AgentIdP's."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder_of(client), EXAMPLES)))}
