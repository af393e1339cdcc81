"""A command creates the first owner; there are no default accounts."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from organizations.models import AuditEvent, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_user

PASSWORD = "a long and quiet password"


def run(**options: Any) -> dict[str, str]:
    """Run the command. Returns the printed values by the first word of their line."""
    out = StringIO()
    options = {"name": "Northwind Labs", "owner_email": "ada@example.com"} | options
    call_command("create_organization", stdout=out, **options)
    return dict(line.split(maxsplit=1) for line in out.getvalue().splitlines())


def test_there_are_no_default_accounts(db: None) -> None:
    assert User.objects.count() == 0


def test_it_makes_an_organization_and_prints_the_password_once(db: None) -> None:
    printed = run()

    organization = Organization.objects.get(slug="northwind-labs")
    owner = organization.memberships.get(role="owner").user
    assert printed["Organization"] == organization.public_id
    assert printed["Owner"] == owner.email == "ada@example.com"
    assert owner.check_password(printed["Password"])
    assert len(printed["Password"]) >= 24
    assert (owner.is_staff, owner.is_superuser) == (False, False)
    with organization_scope(organization):
        event = AuditEvent.objects.get()
    assert (event.action, event.actor_kind) == ("org.created", "system")


def test_an_existing_account_keeps_its_password(db: None) -> None:
    known = make_user("ada@example.com", PASSWORD)

    printed = run()

    known.refresh_from_db()
    assert "Password" not in printed
    assert known.check_password(PASSWORD)
    assert known.memberships.get().role == "owner"


def test_the_password_can_be_typed(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "organizations.management.commands.create_organization.getpass", lambda prompt: PASSWORD
    )

    printed = run(ask_password=True)

    assert "Password" not in printed
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "x"},
        {"slug": "Not A Slug"},
        {"owner_email": "no address"},
    ],
)
def test_a_bad_value_leaves_nothing_behind(db: None, options: dict[str, str]) -> None:
    with pytest.raises(CommandError):
        run(**options)

    assert User.objects.count() == 0
    assert Organization.objects.exclude(status="system").count() == 0


def test_a_weak_typed_password_is_refused(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "organizations.management.commands.create_organization.getpass", lambda prompt: "short"
    )

    with pytest.raises(CommandError):
        run(ask_password=True)

    assert User.objects.count() == 0
