"""The folders of executions in a bucket: one organization's are not another's, and go with the
execution, at once or with the worker.
"""

from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from structlog.testing import capture_logs

from executions import file_bucket
from executions.actions.removal import FOLDERS_AT_ONCE, REMOVE_FOLDERS
from executions.file_bucket import BucketStorage
from executions.tests.factories import make_execution, make_file
from organizations.models import Organization
from tests.bucket.unavailable import away


def test_each_organization_has_a_folder_of_its_own(
    organization: Organization, other_organization: Organization, bucket: BucketStorage
) -> None:
    ours, theirs = make_execution(organization), make_execution(other_organization)
    for execution in (ours, theirs):
        make_file(execution)

    assert list(bucket.folders(f"executions/{organization.pk}")) == [str(ours.pk)]
    assert list(bucket.folders(f"executions/{other_organization.pk}")) == [str(theirs.pk)]
    assert bucket.remove_folder(f"executions/{organization.pk}/{ours.pk}") == []
    assert list(bucket.folders(f"executions/{organization.pk}")) == []
    assert list(bucket.folders(f"executions/{other_organization.pk}")) == [str(theirs.pk)]


def test_a_deletion_takes_more_files_than_one_request_lists(bucket: BucketStorage) -> None:
    for number in range(7):
        default_storage.save(f"executions/a/b/{number}", ContentFile(b"1"))
    kept = default_storage.save("executions/a/bc/1", ContentFile(b"1"))
    file_bucket.MAX_DELETED_KEYS, most = 3, file_bucket.MAX_DELETED_KEYS
    try:
        assert bucket.remove_folder("executions/a/b") == []
    finally:
        file_bucket.MAX_DELETED_KEYS = most

    assert default_storage.listdir("executions/a/b") == ([], [])
    assert default_storage.exists(kept)


@pytest.mark.parametrize(("number", "waits"), [(2, False), (FOLDERS_AT_ONCE + 1, True)])
def test_the_files_of_many_executions_go_with_the_worker(
    organization: Organization,
    bucket: BucketStorage,
    operator: Client,
    django_capture_on_commit_callbacks: Any,
    number: int,
    waits: bool,
) -> None:
    """A bucket needs a request or two for each execution, which would keep a web thread waiting."""
    executions = [make_execution(organization) for _ in range(number)]
    for execution in executions:
        make_file(execution)
    body = {"fid": [each.fid for each in executions]}
    folder = f"executions/{organization.pk}"

    with django_capture_on_commit_callbacks(execute=True):
        answer = operator.delete("/outputs", body, content_type="application/json")

    assert answer.status_code == 204
    assert len(list(bucket.folders(folder))) == (number if waits else 0)
    for job in ProcrastinateJob.objects.filter(task_name=REMOVE_FOLDERS):
        app.tasks[job.task_name].func(**job.args)
    assert list(bucket.folders(folder)) == []


def test_executions_without_files_ask_nothing_of_the_storage(
    organization: Organization,
    operator: Client,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"fid": [make_execution(organization).fid for _ in range(3)]}

    carry_out = django_capture_on_commit_callbacks(execute=True)
    with away("silent", monkeypatch), capture_logs() as logs, carry_out:
        answer = operator.delete("/outputs", body, content_type="application/json")

    assert answer.status_code == 204
    assert [line for line in logs if line["event"].startswith("files.")] == []
