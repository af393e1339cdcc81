"""The command line says in one sentence why the database could not be used."""

import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from agentidp.env import env

READS = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SET lock_timeout = '1ms'")
    cursor.execute("SELECT FROM agents_agent")
"""


@pytest.mark.slow
def test_a_command_that_meets_a_lock_says_so(owner: Any) -> None:
    address = urlsplit(env.str("DATABASE_URL"))._replace(
        path=f"/{connection.settings_dict['NAME']}"
    )
    own = {"DATABASE_URL": address.geturl(), "AGENTIDP_DATABASE_OWNER_URL": ""}
    environment = os.environ | own
    with owner.transaction():
        owner.execute("LOCK TABLE agents_agent")

        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "-c", READS],
            cwd=settings.BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
        )

    assert done.returncode == 1
    assert done.stderr.startswith(
        "The database is in use (canceling statement due to lock timeout). Run the command again"
    )
