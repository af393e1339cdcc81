"""The command that fills a database with the demonstration, and the databases that it refuses."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from organizations.models import Membership, Organization, User
from organizations.tests.factories import make_organization, make_user


@pytest.mark.slow
def test_the_command_opens_both_doors(db: None) -> None:
    access = json.loads(call_command("seed_demo", stdout=StringIO(), stderr=StringIO()))
    client = Client()

    token = client.post(
        "/api/v1/token",
        f"grant_type=client_credentials&client_id={access['client_id']}"
        f"&client_secret={access['client_secret']}",
        content_type="application/x-www-form-urlencoded",
    )

    assert token.status_code == 200
    header = {"Authorization": f"Bearer {token.json()['access_token']}"}
    last_week = f"{timezone.now() - timedelta(days=7):%Y-%m}"  # on the first of a month few asked
    address = f"/api/v1/analytics/agents?month={last_week}"
    assert len(client.get(address, headers=header).json()["data"]) > 10
    assert client.login(username="admin", password="admin")
    assert Membership.objects.filter(user__username="admin", role="owner").count() == 2


def test_a_real_deployment_is_never_filled(db: None, settings: Any) -> None:
    settings.IS_DEMO, settings.ENVIRONMENT = False, "production"

    with pytest.raises(CommandError, match="AGENTIDP_DEMO=1"):
        call_command("seed_demo")

    assert not Organization.objects.filter(slug="northwind-labs").exists()


@pytest.mark.parametrize("what", ["an organization", "a namesake", "a person"])
def test_a_database_with_something_else_in_it_is_never_filled(
    db: None, settings: Any, what: str
) -> None:
    settings.IS_DEMO = True
    if what == "a person":
        make_user()
    else:
        slug = "acme" if what == "an organization" else "northwind-labs"
        make_organization("Somebody's", slug=slug)
    people, organizations = User.objects.count(), Organization.objects.count()

    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("seed_demo")
    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("demo", port=0, once=True)

    assert (User.objects.count(), Organization.objects.count()) == (people, organizations)
