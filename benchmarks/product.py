"""The product with production settings: fills its database and writes down its clients' secrets."""

import base64
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agentidp.devtools.embedded_postgres import Cluster
from benchmarks.machine import WORK

HOST = "id.example.com"
ORGANIZATIONS = 200
AGENTS_EACH = 25
HOT_AGENTS = 250
NO_LIMIT_IN_PRACTICE = 2_000_000_000


def set_up(cluster: Cluster) -> dict[str, str]:
    """Configure this process as a production on the cluster and migrate; return the environment."""
    environment = {
        "DATABASE_URL": cluster.url,
        "DATABASE_URL_FILE": "",  # It would take precedence, and the tables are emptied here.
        "AGENTIDP_DATABASE_OWNER_URL": cluster.owner_url,
        "AGENTIDP_DATABASE_OWNER_URL_FILE": "",
        "DJANGO_SETTINGS_MODULE": "agentidp.settings",
        "AGENTIDP_ENVIRONMENT": "production",
        "AGENTIDP_ISSUER": f"https://{HOST}",
        "AGENTIDP_BEHIND_TLS_PROXY": "true",
        "AGENTIDP_TRUSTED_PROXY_HOPS": "1",
        "AGENTIDP_SECRET_KEY": secrets.token_urlsafe(48),
        "AGENTIDP_SECRET_PEPPER": secrets.token_urlsafe(48),
        "AGENTIDP_KEY_ENCRYPTION_KEY": secrets.token_urlsafe(48),
    }
    os.environ.update(environment)
    import django
    from django.core.management import call_command

    django.setup()
    from django.conf import settings

    if settings.DATABASES["default"].get("OPTIONS", {}).get("host") != str(cluster.sockets):
        sys.exit("The settings name another database than the benchmark's own.")
    call_command("migrate", verbosity=0)
    # The server must not have the owner's credentials.
    return environment | {"AGENTIDP_DATABASE_OWNER_URL": ""}


def make_clients() -> None:
    """Create 200 organizations of 25 agents (file `spread`) and one of 250 (file `hot`)."""
    spread = [_organization(number, AGENTS_EACH) for number in range(ORGANIZATIONS)]
    # Neighbours in the file belong to different organizations, as callers do.
    mixed = [client for group in zip(*spread, strict=True) for client in group]
    (WORK / "spread").write_text("\n".join(mixed) + "\n")
    (WORK / "hot").write_text("\n".join(_organization(ORGANIZATIONS, HOT_AGENTS)) + "\n")


def _organization(number: int, agents: int) -> list[str]:
    from agents.models import Agent
    from organizations.models import Organization, Principal
    from organizations.tenancy.scope import organization_scope
    from tokens.models import Credential, make_client_secret

    organization = Organization.objects.create(
        name=f"Organization {number}",
        slug=f"organization-{number}",
        max_tokens_per_month=NO_LIMIT_IN_PRACTICE,
    )
    people = [
        Agent(
            organization=organization,
            email=f"agent-{index}@organization-{number}.example",
            agent_type=Agent.Type.CUSTOM,
            version="1.0.0",
            capabilities=["tokens:ask"],
            owner="benchmark",
            deployment_env=Agent.Environment.PRODUCTION,
        )
        for index in range(agents)
    ]
    lines, credentials = [], []
    for agent in people:
        secret = make_client_secret()
        credential = Credential(organization=organization, agent=agent)
        credential.set_secret(secret)
        credentials.append(credential)
        lines.append(base64.b64encode(f"{agent.pk}:{secret}".encode()).decode())
    with organization_scope(organization):
        Principal.objects.bulk_create(
            Principal(id=agent.pk, organization=organization) for agent in people
        )
        Agent.objects.bulk_create(people)
        Credential.objects.bulk_create(credentials)
    return lines


def count_events() -> int:
    """The number of issued tokens over all organizations, each counted inside its scope."""
    from organizations.models import Organization
    from organizations.tenancy.scope import organization_scope
    from tokens.models import TokenEvent

    total = 0
    for organization in Organization.objects.all():
        with organization_scope(organization):
            total += TokenEvent.objects.filter(outcome=TokenEvent.Outcome.ISSUED).count()
    return total


@contextmanager
def signing_with(algorithm: str) -> Iterator[None]:
    """Sign the tokens of all organizations with this algorithm during the block."""
    from organizations.models import Organization
    from tokens.keys import DEFAULT_ALGORITHM, RELOAD_AFTER_SECONDS, rotate_signing_key

    if algorithm != DEFAULT_ALGORITHM:  # the first key would wait until verifiers have fetched it
        rotate_signing_key(algorithm, is_emergency=True)
        time.sleep(RELOAD_AFTER_SECONDS)
    Organization.objects.update(signing_algorithm=algorithm)
    try:
        yield
    finally:
        Organization.objects.update(signing_algorithm="ES256")


@contextmanager
def without_waiting_for_the_disk() -> Iterator[None]:
    """Use asynchronous commits during the block, which the product never does."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ALTER ROLE agentidp_app SET synchronous_commit = off")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE agentidp_app RESET synchronous_commit")
