"""A run that is created and deleted while an import is about to write it is not imported."""

from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection

from executions.models import DeletedExecution, Execution
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits
from tests.kodosumi import REAL, import_folder


def fids_of(organization: Organization) -> set[str]:
    with organization_scope(organization):
        return set(Execution.objects.values_list("fid", flat=True))


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_deleted_while_its_import_waits_is_not_imported(
    organization: Organization, other_organization: Organization, owner: psycopg.Connection
) -> None:
    import_folder(REAL, other_organization)
    fids = fids_of(other_organization)
    gone = min(fids)

    def delete(importing: "Future[None]") -> None:
        try:
            until_it_waits(importing, owner)
            with organization_scope(organization):
                DeletedExecution.leave(organization.pk, gone)
        finally:
            connection.close()
            owner.execute("COMMIT")

    owner.execute("BEGIN")
    owner.execute("LOCK TABLE executions_execution IN SHARE MODE")
    with ThreadPoolExecutor(1) as pool:  # the command itself needs the main thread
        deleted = pool.submit(delete, Future())
        import_folder(REAL, organization)
    deleted.result()

    assert fids_of(organization) == fids - {gone}
