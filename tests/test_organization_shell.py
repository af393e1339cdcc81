"""A shell inside an organization sees its rows; outside one it sees none."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from agents.models import Agent
from agents.tests.factories import make_agent
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization

COUNT = "from agents.models import Agent; print(organization.slug, Agent.objects.count())"


def test_the_rows_of_the_organization_are_there(
    organization: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_organization("Contoso Research")
    for each, count in ((organization, 2), (other, 1)):
        with organization_scope(each):
            for _ in range(count):
                make_agent(each)

    call_command("organization_shell", organization.slug, command=COUNT, verbosity=0)

    assert capsys.readouterr().out == f"{organization.slug} 2\n"
    assert Agent.objects.count() == 0


def test_an_unknown_organization_is_named(db: None) -> None:
    with pytest.raises(CommandError, match="There is no organization nobody"):
        call_command("organization_shell", "nobody", command=COUNT)


def test_an_empty_database_is_told_apart_from_a_wrong_name(db: None) -> None:
    connection.cursor().execute("SET LOCAL search_path TO pg_catalog")
    with pytest.raises(CommandError, match="The database is empty"):
        call_command("organization_shell", "northwind-labs", command=COUNT)
