"""Files that arrive in parts."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.tests.factories import make_agent
from executions.models import Execution, ExecutionFile, Upload, UploadPart
from executions.tests.engine import announce, post, put, report
from executions.tests.factories import content_of
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits

CONTENT = b"0123456789"


@pytest.fixture
def client(organization, client_for):
    return client_for(make_agent(organization))


def send(client, upload: str, first: int, last: int, content: bytes = CONTENT) -> Any:
    part = content[first : last + 1]
    return put(client, upload, part, f"bytes {first}-{last}/{len(content)}")


def the_file(organization) -> tuple[ExecutionFile, bytes]:
    with organization_scope(organization):
        file = ExecutionFile.objects.get()
        return file, content_of(file)


@pytest.mark.usefixtures("each_storage")
def test_a_file_in_one_piece(organization, client):
    url = report(client)
    upload = announce(client, url)

    answer = put(client, upload, CONTENT)

    assert answer.json() == {
        "uploadId": upload.rpartition("/")[2],
        "area": "out",
        "path": "report.txt",
        "size": 10,
        "received": 10,
        "missing": [],
        "isComplete": True,
    }
    file, content = the_file(organization)
    assert content == CONTENT
    folder, _, name = file.content.name.rpartition("/")
    assert folder == f"executions/{organization.pk}/{file.execution_id}"
    assert UUID(name.partition("-")[2]) != file.pk, "each attempt has a name of its own"
    with organization_scope(organization):
        execution = Execution.objects.get()
        assert (execution.upload_count, execution.download_count) == (0, 1)
        assert not Upload.objects.exists()
        assert not UploadPart.objects.exists()


@pytest.mark.usefixtures("each_storage")
def test_parts_may_come_in_any_order_and_again(organization, client):
    upload = announce(client, report(client))

    send(client, upload, 7, 9)
    send(client, upload, 2, 3)
    so_far = send(client, upload, 2, 3)
    assert so_far.json()["received"] == 5
    assert client.get(upload).json()["missing"] == [
        {"first": 0, "last": 1},
        {"first": 4, "last": 6},
    ]
    send(client, upload, 4, 6)
    assert send(client, upload, 0, 1).json()["isComplete"] is True

    assert send(client, upload, 0, 1).json()["isComplete"] is True, "the answer may be lost"
    assert client.get(upload).json()["received"] == 10
    assert the_file(organization)[1] == CONTENT


@pytest.mark.slow
@given(st.permutations(range(7)), st.lists(st.integers(0, 6), max_size=6))
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_order_of_parts_changes_the_file(organization, client, order, repeats):
    content = bytes(range(20))
    url = report(client)
    upload = announce(client, url, size=20)

    for number in [*order[:4], *repeats, *order]:
        answer = send(client, upload, 3 * number, min(3 * number + 2, 19), content)
        assert answer.status_code == 200

    assert answer.json()["isComplete"] is True
    with organization_scope(organization):
        file = ExecutionFile.objects.get(execution__fid=url.rpartition("/")[2])
        assert content_of(file) == content


@pytest.mark.usefixtures("each_storage")
def test_an_empty_file_is_there_at_once(organization, client):
    url = report(client)

    body = {"area": "in", "path": "empty.log", "size": 0}
    answer = post(client, f"{url}/files", body, 201)

    assert answer["isComplete"] is True
    assert the_file(organization)[1] == b""


def test_the_same_announcement_finds_the_same_upload(client):
    url = report(client)

    upload = announce(client, url)
    assert announce(client, url, status=200) == upload
    put(client, upload, CONTENT)
    assert announce(client, url, status=200) == upload, "or the file that it became"


@pytest.mark.parametrize("size", [0, 10])
def test_a_path_is_taken_once(client, size):
    url = report(client)
    put(client, announce(client, url, size=size), CONTENT)

    body = {"area": "out", "path": "report.txt", "size": 11}
    refused = post(client, f"{url}/files", body, 409)
    assert refused["code"] == "FILE_EXISTS"
    assert refused["details"] == {"size": [f"The file has {size} bytes."]}
    announce(client, url, area="in")


@pytest.mark.usefixtures("each_storage")
def test_other_bytes_for_a_file_that_is_whole_are_refused(organization, client):
    upload = announce(client, report(client))
    put(client, upload, CONTENT)

    assert put(client, upload, b"9876543210").json()["code"] == "PART_CONFLICT"
    assert put(client, upload, b"xx", "bytes 4-5/10").json()["code"] == "PART_CONFLICT"
    assert send(client, upload, 4, 5).json()["isComplete"] is True
    assert the_file(organization)[1] == CONTENT


def test_another_size_for_a_path_waits_until_the_upload_is_cancelled(client, settings):
    settings.EXECUTION_FILES_MAX_BYTES = 15
    url = report(client)
    upload = announce(client, url)
    send(client, upload, 0, 4)

    refused = post(client, f"{url}/files", {"area": "out", "path": "report.txt", "size": 8}, 409)

    assert refused["code"] == "UPLOAD_EXISTS"
    assert refused["details"] == {
        "size": ["It was announced with 10 bytes."],
        "uploadId": upload.rpartition("/")[2],
    }
    assert client.delete(upload).status_code == 204
    assert client.delete(upload).json()["code"] == "UPLOAD_NOT_FOUND"
    again = announce(client, url, size=8)
    assert client.get(again).json()["received"] == 0
    assert put(client, again, b"abcdefgh").json()["isComplete"] is True
    assert client.delete(again).json()["code"] == "FILE_EXISTS"


@pytest.mark.parametrize("status", ["finished", "error", "cancelled"])
def test_after_the_end_no_file_is_taken(client, status):
    url = report(client)
    whole, empty = announce(client, url), announce(client, url, size=0, path="empty.txt")
    put(client, whole, CONTENT)
    begun = announce(client, url, path="begun.txt")
    send(client, begun, 0, 4)
    post(client, f"{url}/finish", {"status": status})

    late = post(client, f"{url}/files", {"area": "out", "path": "late.txt", "size": 1}, 409)
    assert (late["code"], late["details"]) == ("EXECUTION_ENDED", {"status": status})
    part = send(client, begun, 5, 9)
    assert (part.status_code, part.json()["code"]) == (409, "EXECUTION_ENDED")
    assert client.get(begun).json()["received"] == 5
    assert client.delete(begun).status_code == 204, "nobody has to keep it"

    assert put(client, whole, CONTENT).status_code == 200, "the answer may be lost"
    assert announce(client, url, size=0, path="empty.txt", status=200) == empty


def test_files_in_folders_are_not_counted_at_the_top(organization, client):
    put(client, announce(client, report(client), path="tables/März 2026.csv"), CONTENT)

    with organization_scope(organization):
        assert Execution.objects.get().download_count == 0


@pytest.mark.parametrize(
    ("first", "last", "content"),
    [(2, 4, b"xxx"), (3, 5, b"345"), (1, 4, b"1234"), (0, 9, CONTENT)],
)
def test_other_bytes_for_a_known_range_are_refused(client, first, last, content):
    upload = announce(client, report(client))
    send(client, upload, 2, 4)

    answer = put(client, upload, content, f"bytes {first}-{last}/10")

    assert answer.json()["code"] == "PART_CONFLICT"
    assert client.get(upload).json()["received"] == 3


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-9/11",
        "bytes 0-8/10",
        "bytes 5-14/10",
        "bytes 9-0/10",
        "bytes 0-9/*",
        "bytes */10",
        "0-9/10",
        "bytes 0-9",
        "bytes -1-9/10",
        "bytes 0-" + "9" * 30 + "/10",
    ],
)
def test_a_range_must_be_that_of_the_body(client, content_range):
    upload = announce(client, report(client))

    answer = put(client, upload, CONTENT, content_range)

    assert answer.status_code == 400
    assert "Content-Range" in answer.json()["details"]
    assert client.get(upload).json()["received"] == 0


def test_nothing_is_no_part(client):
    assert put(client, announce(client, report(client)), b"").status_code == 400


def test_an_upload_does_not_fall_into_crumbs(client):
    content = bytes(100)
    upload = announce(client, report(client), size=100)
    for number in range(16):
        assert send(client, upload, 2 * number, 2 * number, content).status_code == 200

    assert send(client, upload, 50, 50, content).json()["code"] == "TOO_MANY_PARTS"
    assert send(client, upload, 0, 0, content).status_code == 200, "a repeat is no new part"


@pytest.mark.usefixtures("each_storage")
def test_quotas(client, settings):
    settings.EXECUTION_FILE_MAX_BYTES = 100
    settings.EXECUTION_FILES_MAX_BYTES = 150
    settings.EXECUTION_FILES_MAX_NUMBER = 3
    url = report(client)

    def refusal(size: int, path: str) -> str:
        body = {"area": "out", "path": path, "size": size}
        answer = client.post(f"{url}/files", body, content_type="application/json")
        return answer.json().get("code", "")

    assert refusal(101, "a") == "VALIDATION_ERROR"
    put(client, announce(client, url, size=100, path="a"), bytes(100))
    assert refusal(51, "b") == "FILE_QUOTA_EXCEEDED"
    assert refusal(10, "b") == ""
    assert refusal(10, "c") == ""
    assert refusal(10, "d") == "FILE_QUOTA_EXCEEDED", "an open upload counts"


def test_an_upload_belongs_to_its_execution(organization, client, client_for):
    upload = announce(client, report(client)).rpartition("/")[2]

    elsewhere = f"{report(client)}/uploads/{upload}"
    assert client.get(elsewhere).json()["code"] == "UPLOAD_NOT_FOUND"
    stranger = client_for(make_agent(organization))
    assert put(stranger, f"{report(stranger)}/uploads/{upload}", CONTENT).status_code == 404


@pytest.mark.usefixtures("each_storage")
def test_deleting_an_execution_takes_an_unfinished_upload_with_it(
    organization, client, django_capture_on_commit_callbacks
):
    url = report(client)
    send(client, announce(client, url), 0, 4)
    put(client, announce(client, url, path="whole.txt"), CONTENT)
    file, _ = the_file(organization)
    client.post(f"{url}/stop")

    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(url).status_code == 204

    assert not default_storage.exists(file.content.name)
    with organization_scope(organization):
        assert not UploadPart.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["put", "delete"])
def test_an_upload_that_is_pruned_meanwhile_is_not_found(organization, client, owner, method):
    own = str(organization.pk)
    upload = announce(client, report(client))
    send(client, upload, 0, 1)

    def change() -> Any:
        try:
            return send(client, upload, 4, 5) if method == "put" else client.delete(upload)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with owner.transaction():
            owner.execute("SELECT set_config('app.organization_id', %s, true)", [own])
            for table in ("executions_uploadpart", "executions_upload"):
                owner.execute(f"DELETE FROM {table}")
            answer = pool.submit(change)
            until_it_waits(answer, owner)
        found = answer.result()

    assert (found.status_code, found.json()["code"]) == (404, "UPLOAD_NOT_FOUND")
