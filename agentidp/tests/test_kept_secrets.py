"""Secrets that are not set outside production are generated once and never replaced."""

import json
import re
import runpy
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentidp import env


def test_two_first_starts_keep_the_same_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr(env, "DATA_DIR", tmp_path / ".data")
    monkeypatch.setattr(env, "environment", lambda: "development")
    names = [f"AGENTIDP_TEST_SECRET_{number % 8}" for number in range(32)]

    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(env.secret, names))

    kept = json.loads((tmp_path / ".data" / "secrets.json").read_text())
    assert {name: kept[name] for name in names} == dict(zip(names, given, strict=True))
    assert len(kept) == len(set(given)) == 8
    assert stat.S_IMODE((tmp_path / ".data" / "secrets.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(("command", "keeps"), [("collectstatic", False), ("migrate", True)])
def test_collecting_files_keeps_no_secret(tmp_path, monkeypatch, command, keeps):
    """docs/how-to/deploy.md collects files before production has its secrets."""
    for name in [*env.os.environ]:
        if re.match("AGENTIDP_|DATABASE_URL", name):
            monkeypatch.delenv(name)
    monkeypatch.setattr(env, "DATA_DIR", tmp_path / ".data")
    monkeypatch.setattr(sys, "argv", ["manage.py", command])

    runpy.run_path(str(env.BASE_DIR / "agentidp" / "settings.py"))

    assert (tmp_path / ".data").exists() is keeps
