"""The second wall alone: PostgreSQL shows and accepts only one organization's rows."""

import re
from contextlib import nullcontext

import pytest
from django.apps import apps
from django.conf import settings
from django.db import DataError, IntegrityError, ProgrammingError, connection
from django.db.models.expressions import RawSQL

from agents.models import Agent
from agents.tests.factories import make_agent
from core.database_roles import OWNER_POLICY, OWNER_POLICY_TABLES
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import current_organization_id, make_organization
from organizations.tests.tables import tables_with_an_organization
from tokens.tests.factories import make_credential


@pytest.mark.parametrize("table", tables_with_an_organization())
def test_every_tenant_table_forces_the_same_policy(db: None, table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass",
            [table],
        )
        flags = cursor.fetchone()
        cursor.execute(
            "SELECT policyname, cmd, roles::text, qual, with_check FROM pg_policies "
            "WHERE tablename = %s",
            [table],
        )
        policies = {name: rest for name, *rest in cursor.fetchall()}

    assert flags == (True, True)
    own = (
        "(organization_id = (NULLIF(current_setting("
        "'app.organization_id'::text, true), ''::text))::uuid)"
    )
    assert policies.pop("organization_isolation") == ["ALL", "{public}", own, own]
    if table in OWNER_POLICY_TABLES:  # for the one function that enters several organizations
        command, roles, condition, _ = policies.pop(OWNER_POLICY)
        assert (command, roles) == ("ALL", f"{{{settings.DATABASE_OWNER['USER']}}}")
        assert "current_setting('app.organization_ids'::text, true)" in condition
    assert policies == {}


@pytest.mark.parametrize("table", tables_with_an_organization())
def test_references_between_tenant_tables_carry_the_organization(db: None, table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'f' AND conrelid = %s::regclass",
            [table],
        )
        plain = [
            name
            for name, definition in cursor.fetchall()
            if "FOREIGN KEY (organization_id" not in definition
            and "organizations_user" not in definition
        ]

    assert plain == []


def test_rows_of_every_tenant_table_are_asked_for_by_organization() -> None:
    tables = tables_with_an_organization()
    models = [model for model in apps.get_models() if model._meta.db_table in tables]

    assert [
        model for model in models if not hasattr(model._default_manager.none(), "for_organization")
    ] == []
    assert len(models) == len(tables) > 20


def test_the_role_is_bound_by_row_level_security(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")

        assert cursor.fetchone() == (False, False)


def test_outside_a_scope_nothing_shows(organization: Organization) -> None:
    make_agent(organization)

    assert Agent.objects.count() == 0


def test_a_scope_shows_its_own_rows_only(
    organization: Organization, other_organization: Organization
) -> None:
    own = make_agent(organization)
    make_agent(other_organization)

    with organization_scope(organization):
        assert list(Agent.objects.all()) == [own]


def test_a_scope_changes_its_own_rows_only(
    organization: Organization, other_organization: Organization
) -> None:
    foreign = make_agent(other_organization)

    with organization_scope(organization):
        assert Agent.objects.filter(pk=foreign.pk).update(owner="mallory") == 0


def test_a_row_of_another_organization_is_refused(
    organization: Organization, other_organization: Organization
) -> None:
    agent = make_agent(organization)

    with (
        pytest.raises(ProgrammingError, match="row-level security"),
        organization_scope(organization),
    ):
        Agent.objects.filter(pk=agent.pk).update(organization=other_organization)


def test_a_reference_into_another_organization_is_refused(
    organization: Organization, other_organization: Organization
) -> None:
    credential, _ = make_credential(make_agent(organization))
    foreign = make_agent(other_organization)

    credential.agent_id = foreign.pk

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    with (
        pytest.raises(IntegrityError, match="agent_organization_fk"),
        organization_scope(organization),
    ):
        credential.save(update_fields=["agent_id"])


def test_scopes_nest_and_end(organization: Organization, other_organization: Organization) -> None:
    assert current_organization_id() is None
    with organization_scope(organization):
        with organization_scope(other_organization):
            assert current_organization_id() == other_organization.pk
        assert current_organization_id() == organization.pk
    assert current_organization_id() is None


def test_an_error_ends_the_scope(organization: Organization) -> None:
    with pytest.raises(ZeroDivisionError), organization_scope(organization):
        raise ZeroDivisionError

    assert current_organization_id() is None


def test_a_failed_statement_ends_the_scope(organization: Organization) -> None:
    with (
        pytest.raises(ProgrammingError),
        organization_scope(organization),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT no_such_column FROM agents_agent")

    assert current_organization_id() is None


def test_the_audit_log_cannot_be_changed(organization: Organization) -> None:
    for statement in (
        "UPDATE organizations_auditevent SET action = 'x'",
        "DELETE FROM organizations_auditevent",
    ):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            organization_scope(organization),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["committed", "rolled back", "refused by the database"])
def test_nothing_of_a_scope_stays_on_the_connection(how: str) -> None:
    """The next request on a pooled connection starts without an organization."""
    organization = make_organization()
    error = {"rolled back": ZeroDivisionError, "refused by the database": DataError}.get(how)

    with pytest.raises(error) if error else nullcontext(), organization_scope(organization):
        if error is DataError:
            list(Agent.objects.values_list(RawSQL("1 / 0", [])))
        elif error:
            raise error

    assert current_organization_id() is None


def test_the_owners_policy_is_on_the_tables_of_its_function_and_no_others() -> None:
    functions = ("tokens_issue_batch", "analytics_count_token_events")
    texts = [(settings.BASE_DIR / f"{name.split('_')[0]}/sql/{name}.sql") for name in functions]
    named = set(re.findall(r"\w+", "\n".join(file.read_text() for file in texts)))

    assert set(OWNER_POLICY_TABLES) == set(tables_with_an_organization()) & named - {
        "organizations_principal"  # readable before the tenant is known, so without any policy
    }
