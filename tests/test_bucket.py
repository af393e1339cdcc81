"""The files of executions in a bucket: streamed through the server, with clear errors in an
outage.
"""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.test import Client
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from structlog.testing import capture_logs

from agentidp import health
from agents.tests.factories import make_agent
from conftest import ClientFor
from executions import bucket_deadlines, file_bucket
from executions.actions.removal import FOLDERS_AT_ONCE, REMOVE_FOLDERS
from executions.file_bucket import BucketStorage
from executions.file_storage import FilesUnavailable
from executions.models import Execution, ExecutionFile, Upload
from executions.tests.engine import announce, put, report
from executions.tests.factories import make_execution, make_file, make_user_of
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership
from tests import s3
from tests.kodosumi import REAL
from tests.live.deployment import free_port

MB = 1024**2


@pytest.fixture
def operator(organization: Organization, client_for: ClientFor) -> Client:
    return client_for(make_membership(organization, "operator"))


@pytest.fixture
def file(organization: Organization, bucket: BucketStorage) -> ExecutionFile:
    return make_file(make_execution(organization), "out", "big.bin", bytes(range(256)) * 4096)


def url_of(file: ExecutionFile) -> str:
    return f"/files/{file.execution.fid}/{file.area}/{file.path}"


@contextmanager
def away(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketStorage]:
    """A storage that does not exist, one that accepts connections and never answers, one whose
    answers never end, or one that takes what is sent byte by byte.
    """
    monkeypatch.setattr(file_bucket, "TIMEOUTS", {"connect_timeout": 0.3, "read_timeout": 0.3})
    monkeypatch.setattr(bucket_deadlines, "SECONDS", 1.0)
    health.files_problem.forget()
    with socket.socket() as listening:
        if kind in {"silent", "trickling", "slow"}:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            listening.bind(("127.0.0.1", 0))
            listening.listen(128)
            port = listening.getsockname()[1]
            if kind != "silent":
                threading.Thread(target=trickle, args=(listening, kind), daemon=True).start()
        else:
            port = free_port()
        with s3.files_in(f"http://127.0.0.1:{port}", "files-of-nobody") as storage:
            yield storage
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    health.files_problem.forget()


def trickle(listening: socket.socket, kind: str) -> None:
    """Let each read or write of clients succeed well within its timeout, until they give up."""

    def serve(client: socket.socket) -> None:
        with client, suppress(OSError):
            if kind == "trickling":
                client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while True:
                if kind == "trickling":
                    client.sendall(b"x")
                elif not client.recv(4096):
                    return
                given_up.wait(0.05)

    given_up = threading.Event()
    with suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()


# In pieces


def test_a_file_is_fetched_in_pieces_that_grow(
    operator: Client, file: ExecutionFile, bucket: BucketStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    read = BucketStorage.read

    def counted(self: BucketStorage, name: str, start: int, length: int) -> bytes:
        fetched.append(length)
        return read(self, name, start, length)

    monkeypatch.setattr(BucketStorage, "read", counted)

    answer = operator.get(url_of(file))
    at_first = list(fetched)
    pieces = [next(iter(answer))]
    after_one = list(fetched)
    pieces += list(answer)

    assert b"".join(pieces) == bytes(range(256)) * 4096
    assert max(map(len, pieces)) <= 64 * 1024
    assert at_first == after_one == [64 * 1024]
    assert sum(fetched) == MB
    assert max(fetched) <= 512 * 1024


def test_a_short_range_fetches_little(
    operator: Client, file: ExecutionFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    get = BucketStorage.read
    monkeypatch.setattr(
        BucketStorage, "read", lambda *args: (fetched.append(args[3]), get(*args))[1]
    )

    answer = operator.get(url_of(file), headers={"Range": "bytes=1048570-"})

    assert b"".join(answer) == bytes(range(250, 256))
    assert sum(fetched) <= 64 * 1024


def test_a_file_of_many_parts_is_stored_whole(bucket: BucketStorage) -> None:
    content = bytes(range(256)) * (20 * MB // 256)

    name = default_storage.save("executions/a/b", ContentFile(content))

    with default_storage.open(name) as opened:
        assert opened.size == len(content)
        opened.seek(-3, 2)
        assert opened.read() == content[-3:]
        opened.seek(0)
        assert b"".join(iter(lambda: opened.read(100_000), b"")) == content


def test_no_answer_names_the_bucket(operator: Client, file: ExecutionFile) -> None:
    answer = operator.get(url_of(file))

    told = json.dumps(dict(answer.headers))
    assert answer.status_code == 200
    assert "files-" not in told
    assert "127.0.0.1" not in told
    assert "Location" not in answer.headers
    with pytest.raises(NotImplementedError):
        _ = file.content.url


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


class BreaksOff(BaseHTTPRequestHandler):
    """Sends only half of each body at first, and all of it on the next request."""

    asked: list[str] = []

    def do_HEAD(self) -> None:
        self.begin(200, 10)

    def do_GET(self) -> None:
        self.asked.append(self.headers["Range"])
        self.begin(206, 10)
        self.wfile.write(b"0123456789"[: 5 if len(self.asked) == 1 else 10])
        self.close_connection = True

    def begin(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Range", f"bytes 0-{length - 1}/{length}")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


def test_a_body_that_breaks_off_is_fetched_again() -> None:
    BreaksOff.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), BreaksOff)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with (
            s3.files_in(f"http://127.0.0.1:{server.server_port}", "files-of-nobody"),
            default_storage.open("executions/a/b") as opened,
        ):
            assert opened.read() == b"0123456789"
    finally:
        server.shutdown()
        server.server_close()

    assert BreaksOff.asked == ["bytes=0-9", "bytes=0-9"]


class IgnoresRange(BreaksOff):
    """Sends the whole object, whatever part of it is asked for."""

    content = bytes(range(256)) * 1172

    def do_HEAD(self) -> None:
        self.begin_whole()

    def do_GET(self) -> None:
        self.begin_whole()
        self.wfile.write(self.content)

    def begin_whole(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()


class SendsAnotherRange(IgnoresRange):
    """Says 206, and sends as many bytes as asked for from the beginning."""

    def do_GET(self) -> None:
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        self.begin(206, last - first + 1)
        self.wfile.write(self.content[: last - first + 1])


@pytest.mark.parametrize("kind", [IgnoresRange, SendsAnotherRange])
@pytest.mark.parametrize("asked", ["bytes=100000-", "bytes=100000-100009"])
def test_a_bucket_that_ignores_ranges_is_unavailable_and_no_wrong_bytes_are_sent(
    operator: Client, organization: Organization, kind: type[IgnoresRange], asked: str
) -> None:
    file = make_file(make_execution(organization), "out", "big.bin", IgnoresRange.content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with s3.files_in(f"http://127.0.0.1:{server.server_port}", "files-of-nobody"):
            answers = [operator.get(url_of(file), headers={"Range": asked}) for _ in range(2)]
    finally:
        server.shutdown()
        server.server_close()

    assert [each.status_code for each in answers] == [503, 503]
    assert answers[0]["Retry-After"] == "5"


# Outages


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
    with away("silent", monkeypatch):
        operator.get(url_of(file))
        began = time.monotonic()
        for _ in range(20):
            assert operator.get(url_of(file)).status_code == 503

        assert time.monotonic() - began < 20 * 0.3


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
        began = time.monotonic()
        with pytest.raises(FilesUnavailable):
            default_storage.save("executions/a/b", ContentFile(bytes(4 * MB)))
        seconds = time.monotonic() - began
        with pytest.raises(FilesUnavailable):
            default_storage.exists("executions/a/b")

    assert seconds < 8


@pytest.mark.django_db(transaction=True)
def test_without_the_bucket_an_execution_goes_and_its_files_in_the_night(
    organization: Organization, bucket: BucketStorage, client_for: ClientFor, monkeypatch: Any
) -> None:
    from executions import tasks

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


def test_without_the_bucket_an_import_ends_with_one_line_and_goes_on_later(
    organization: Organization, bucket: BucketStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["import_kodosumi", str(REAL), "--organization", organization.slug]
    with away("closed", monkeypatch), pytest.raises(CommandError) as told:
        call_command(*command, stdout=StringIO())

    call_command(*command, stdout=StringIO())

    assert "cannot be reached" in str(told.value)
    assert "The next import continues from here." in str(told.value)
    assert len(str(told.value).splitlines()) == 1
    with organization_scope(organization):
        assert ExecutionFile.objects.count() == 9


@pytest.mark.parametrize("kind", ["closed", "silent", "trickling"])
def test_readiness_and_check_show_a_bucket_that_is_away(
    db: None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    health.readiness.forget()
    with away(kind, monkeypatch):
        answer = Client().get("/readyz")
        told = [str(each.msg) for each in run_checks() if each.id == "agentidp.W001"]
    health.readiness.forget()

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["files"] == "failed"
    assert b"files-of-nobody" not in answer.content
    assert len(told) == 1
    assert "files-of-nobody cannot be reached" in told[0]


def test_check_reports_a_missing_bucket(s3_server: str) -> None:
    with s3.files_in(s3_server, "files-that-nobody-made"):
        told = [str(each.msg) for each in run_checks() if each.id == "agentidp.W001"]

    assert told == ["Files cannot be stored. The bucket files-that-nobody-made is not there."]


def test_a_bucket_that_is_there_is_no_problem(bucket: BucketStorage) -> None:
    assert bucket.problem() == ""


# The local folder fails just as clearly


def test_a_full_disk_is_an_error_and_leaves_no_partial_file(
    organization: Organization,
    client_for: ClientFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_for(make_agent(organization))
    upload = announce(client, report(client))
    small = Path("/dev/full")

    def full(*args: Any, **kwargs: Any) -> None:
        with small.open("wb", buffering=0) as device:
            device.write(b"1")  # the system's own error

    with monkeypatch.context() as patch:
        patch.setattr("django.core.files.storage.filesystem.locks.lock", full)
        refused = put(client, upload, b"0123456789")

    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    answer = put(client, upload, b"0123456789")
    with organization_scope(organization):
        file = ExecutionFile.objects.get()
    assert answer.json()["isComplete"] is True
    assert file.content.name == f"executions/{organization.pk}/{file.execution_id}/{file.pk}"


def test_a_folder_that_cannot_be_used_is_named(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.MEDIA_ROOT = tmp_path / "file" / "below"

    told = [str(each.msg) for each in run_checks() if each.id == "agentidp.W001"]

    assert told == [f"Files cannot be stored. {tmp_path}/file is no folder."]


def test_the_owner_of_a_file_is_asked_as_ever(
    organization: Organization, client_for: ClientFor, bucket: BucketStorage
) -> None:
    viewer, other = (make_membership(organization, "viewer") for _ in range(2))
    file = make_file(make_execution(organization, user=make_user_of(viewer)))

    assert client_for(viewer).get(url_of(file)).status_code == 200
    assert client_for(other).get(url_of(file)).status_code == 404
