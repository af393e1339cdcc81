"""Errors stored by an earlier release move into the groups of this one."""

from io import StringIO

from django.core.management import call_command

from executions.event_log import NewEvent
from executions.models import ExecutionError, now
from executions.tests.factories import FAILED, make_execution
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

TRACE = 'Traceback (most recent call last):\n  File "/srv/a.py", line 1, in f\nKeyError: {}'


def fingerprints(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return sorted(ExecutionError.objects.values_list("fingerprint", flat=True))


def test_stored_errors_get_the_fingerprint_that_they_would_have_today(
    organization: Organization, other_organization: Organization
) -> None:
    for each in (organization, other_organization):
        for text in ("can't read 1 file", "can't read 2 files", TRACE.format(7)):
            make_execution(each, FAILED, events=[NewEvent(now(), "error", text)])
    today = fingerprints(organization)
    for each in (organization, other_organization):
        with organization_scope(each):
            for number, error in enumerate(ExecutionError.objects.order_by("pk")):
                error.fingerprint = f"v1:{number}"
                error.save(update_fields=["fingerprint"])
    output = StringIO()

    call_command("regroup_errors", stdout=output)

    assert fingerprints(organization) == fingerprints(other_organization) == today
    assert f"{organization.slug}: 3 errors regrouped." in output.getvalue()
    output = StringIO()
    call_command("regroup_errors", stdout=output)
    assert output.getvalue() == "All errors are grouped by the rules of this release.\n"
