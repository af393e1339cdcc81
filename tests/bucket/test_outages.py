"""Without the bucket requests fail soon and clearly, and work goes on once it is back."""

from io import StringIO
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from structlog.testing import capture_logs

from agents.tests.factories import make_agent
from conftest import ClientFor
from executions import tasks
from executions.file_bucket import BucketStorage
from executions.file_storage import FilesUnavailable
from executions.models import Execution, ExecutionFile, Upload
from executions.tests.engine import announce, put, report
from executions.tests.factories import make_execution, make_file
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tests.bucket.conftest import url_of
from tests.bucket.unavailable import away
from tests.kodosumi import REAL

MB = 1024**2


@pytest.mark.parametrize("kind", ["closed", "silent", "trickling"])
def test_a_download_without_the_bucket_is_an_error(
    organization: Organization,
    operator: Client,
    file: ExecutionFile,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with away(kind, monkeypatch), capture_logs() as logs:
        answers = [operator.get(url_of(file)), operator.head(url_of(file))]

    for answer in answers:
        assert answer.status_code == 503
        assert answer["Retry-After"] == "5"
    assert answers[0].json() == {
        "code": "SERVICE_UNAVAILABLE",
        "message": "The storage of files cannot be used at the moment. Try again shortly.",
    }
    assert len([each for each in logs if each["event"] == "files.unavailable"]) == 1


def test_requests_soon_after_a_timeout_fail_fast(
    operator: Client, file: ExecutionFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with away("silent", monkeypatch), capture_logs() as logs:
        answers = [operator.get(url_of(file)) for _ in range(20)]

    assert {each.status_code for each in answers} == {503}
    assert [each["event"] for each in logs].count("files.unavailable") == 1, "only one tried"


@pytest.mark.parametrize("kind", ["closed", "silent", "trickling"])
def test_a_last_part_without_the_bucket_is_an_error_and_may_be_sent_again(
    organization: Organization,
    client_for: ClientFor,
    bucket: BucketStorage,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_for(make_agent(organization))
    upload = announce(client, report(client))

    with away(kind, monkeypatch):
        refused = put(client, upload, b"0123456789")

    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    with organization_scope(organization):
        assert Upload.objects.count() == 1
        assert not ExecutionFile.objects.exists()
    assert put(client, upload, b"0123456789").json()["isComplete"] is True


@pytest.mark.parametrize("kind", ["trickling", "slow"])
def test_a_request_to_the_bucket_has_a_deadline(
    db: None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that keep arriving, or being taken, do not put it off."""
    with away(kind, monkeypatch):
        with pytest.raises(FilesUnavailable):
            default_storage.save("executions/a/b", ContentFile(bytes(4 * MB)))
        with pytest.raises(FilesUnavailable):
            default_storage.exists("executions/a/b")


@pytest.mark.django_db(transaction=True)
def test_without_the_bucket_an_execution_goes_and_its_files_in_the_night(
    organization: Organization, bucket: BucketStorage, client_for: ClientFor, monkeypatch: Any
) -> None:
    operator = client_for(make_membership(organization, "operator"))
    file = make_file(make_execution(organization))
    with away("closed", monkeypatch), capture_logs() as logs:
        assert operator.delete(f"/outputs/{file.execution.fid}").status_code == 204
    assert "files.not_removed" in [each["event"] for each in logs]
    assert default_storage.exists(file.content.name)

    tasks.remove_left_folders(timestamp=0)

    assert not default_storage.exists(file.content.name)
    with organization_scope(organization):
        assert not Execution.objects.exists()


def test_without_the_bucket_a_job_tries_one_folder_and_not_all(
    organization: Organization, bucket: BucketStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them would keep its place in the worker waiting."""
    keys = [str(make_file(make_execution(organization)).execution_id) for _ in range(3)]

    with away("closed", monkeypatch), capture_logs() as logs:
        tasks.remove_folders(str(organization.pk), keys)

    assert [each["event"] for each in logs].count("files.not_removed") == 1


def test_without_the_bucket_an_import_ends_with_one_line_and_goes_on_later(
    organization: Organization, bucket: BucketStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["import_kodosumi", str(REAL), "--organization", organization.slug]
    with away("closed", monkeypatch), pytest.raises(CommandError) as caught:
        call_command(*command, stdout=StringIO())

    call_command(*command, stdout=StringIO())

    assert "cannot be reached" in str(caught.value)
    assert "The next import continues from here." in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    with organization_scope(organization):
        assert ExecutionFile.objects.count() == 9
