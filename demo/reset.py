"""Removing the demonstration, and nothing else, from a database."""

from collections.abc import Iterator

from django.apps import apps
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.database_roles import as_owner
from demo import founding, seed
from demo.companies import COMPANIES
from executions.file_storage import execution_folders, remove_folder
from organizations.models import Organization, User
from organizations.tenancy.scope import request_scope

LOG = "organizations_auditevent"
"""Even the owner must grant itself the right before it can change this table."""


def reset() -> list[str]:
    """Remove the demonstration's organizations with all their data, and their people who belong to
    no other organization; return the organizations' names.

    Runs as the owner of the tables, because the application's role cannot empty an audit log.
    Raises ForeignDatabase where an organization merely has the name of one of them.
    """
    with as_owner(connection):
        organizations = seed.own_organizations()
        with transaction.atomic(), connection.cursor() as cursor:
            tables = sorted(_tables())
            _set_triggers(cursor, tables, "DISABLE")
            cursor.execute(f"GRANT UPDATE, DELETE ON {LOG} TO CURRENT_USER")
            for organization in organizations:
                _remove_rows(cursor, organization, tables)
            _remove_people()
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"REVOKE UPDATE, DELETE ON {LOG} FROM CURRENT_USER")
            _set_triggers(cursor, tables, "ENABLE")
    for organization in organizations:
        for execution_id in execution_folders(organization.pk):
            remove_folder(organization.pk, execution_id)
    return [organization.name for organization in organizations]


def _tables() -> Iterator[str]:
    """The tables of organizations and of their rows."""
    yield Organization._meta.db_table
    for model in apps.get_models():
        if any(field.name == "organization" for field in model._meta.fields):
            yield model._meta.db_table


def _set_triggers(cursor: CursorWrapper, tables: list[str], word: str) -> None:
    """Switch AgentIdP's triggers off or on; those of foreign keys stay on."""
    for table in tables:
        cursor.execute(f'ALTER TABLE "{table}" {word} TRIGGER USER')


def _remove_rows(cursor: CursorWrapper, organization: Organization, tables: list[str]) -> None:
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    with request_scope(organization):
        for table in tables:
            if table != Organization._meta.db_table:
                cursor.execute(
                    f'DELETE FROM "{table}" WHERE organization_id = %s',  # noqa: S608
                    [organization.pk],
                )
    cursor.execute(
        "UPDATE organizations_user SET created_through_id = NULL WHERE created_through_id = %s",
        [organization.pk],
    )
    cursor.execute("DELETE FROM organizations_organization WHERE id = %s", [organization.pk])
    cursor.execute(
        "DELETE FROM procrastinate_jobs WHERE args->>'organization_id' = %s",
        [str(organization.pk)],
    )


def _remove_people() -> None:
    addresses = [founding.address_of(person) for company in COMPANIES for person in company.people]
    people = User.objects.filter(email__in=addresses, memberships=None)
    founders = Organization.objects.exclude(created_by=None).values("created_by")
    people.exclude(pk__in=founders).delete()
