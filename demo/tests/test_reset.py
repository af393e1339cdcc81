"""The demonstration can be removed from a database, and nothing else is removed with it."""

from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from agents.tests.factories import make_agent
from core.database_roles import as_owner
from demo.companies import COMPANIES
from demo.seed import seed
from organizations.models import Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_organization, record_event

OF_DEMO = [company.slug for company in COMPANIES]


def reset() -> str:
    output = StringIO()
    call_command("reset_demo", stdout=output)
    return output.getvalue()


def rows_of(organization: Organization) -> dict[str, int]:
    """The number of the organization's rows in each table that has any."""
    with organization_scope(organization), connection.cursor() as cursor:
        counts = {}
        for model in apps.get_models():
            if any(field.name == "organization" for field in model._meta.fields):
                table = model._meta.db_table
                cursor.execute(
                    f'SELECT count(*) FROM "{table}" WHERE organization_id = %s', [organization.pk]
                )
                counts[table] = cursor.fetchone()[0]
        return {table: count for table, count in counts.items() if count}


def walls() -> tuple[int, bool]:
    """The number of disabled triggers, and whether the owner may change the audit log."""
    with as_owner(connection), connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D'), "
            "has_table_privilege('organizations_auditevent', 'UPDATE, DELETE')"
        )
        found: tuple[int, bool] = cursor.fetchone()
        return found


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_only_the_demonstration_goes() -> None:
    seed()
    other = make_organization("Somebody's own")
    make_membership(other)
    joined = User.objects.get(username="admin")
    Membership.objects.create(organization=other, user=joined, role=Membership.Role.VIEWER)
    with organization_scope(other):
        make_agent(other)
    record_event(other)
    before = rows_of(other)
    ours = list(Organization.objects.filter(slug__in=OF_DEMO))

    output = reset()

    assert output.startswith("Removed ")
    assert [rows_of(organization) for organization in ours] == [{}] * len(ours)
    assert not Organization.objects.filter(slug__in=OF_DEMO).exists()
    assert rows_of(other) == before
    assert set(User.objects.filter(username__in=people())) == {joined}
    assert walls() == (0, False)
    record_event(other)
    assert reset() == "There is no demonstration in this database.\n"


@pytest.mark.django_db(transaction=True)
def test_an_organization_that_only_has_the_name_of_one_of_ours_stays() -> None:
    theirs = make_organization(COMPANIES[0].name, slug=COMPANIES[0].slug)

    with pytest.raises(CommandError, match="nothing was changed"):
        reset()

    assert Organization.objects.filter(pk=theirs.pk).exists()


def people() -> list[Any]:
    return [person.username for company in COMPANIES for person in company.people]


def test_an_empty_database_has_no_demonstration(db: None) -> None:
    connection.cursor().execute("SET LOCAL search_path TO pg_catalog")
    assert reset() == "There is no demonstration in this database.\n"
