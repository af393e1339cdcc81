"""Migrate an empty database and fill it: `python -m tests.live.seed AGENTS ORGANIZATIONS`."""

import json
import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from agents.tests.factories import make_agent  # noqa: E402
from organizations.tests.factories import (  # noqa: E402
    make_membership,
    make_organization,
    make_user,
)
from tests.live.deployment import OWNER_PASSWORD  # noqa: E402
from tokens.keys import make_first_key  # noqa: E402
from tokens.tests.factories import make_credential  # noqa: E402

SCOPES = ["agents:read", "tokens:read", "executions:read", "executions:write"]


@transaction.atomic
def make_clients(agents: int, organizations: int) -> list[dict[str, Any]]:
    clients = []
    for number in range(organizations):
        # The tokens of all but the first organization are counted by month, too.
        organization = make_organization(max_tokens_per_month=10_000_000 if number else None)
        owner = make_user(f"owner-{len(clients)}@example.com", OWNER_PASSWORD)
        make_membership(organization, user=owner)
        for _ in range(agents):
            agent = make_agent(organization, scopes=SCOPES)
            clients.append(
                {
                    "organization_id": str(organization.pk),
                    "client_id": str(agent.pk),
                    "client_secret": make_credential(agent)[1],
                }
            )
    return clients


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    make_first_key()
    print(json.dumps(make_clients(*map(int, sys.argv[1:3]))))  # noqa: T201 - read by the test
