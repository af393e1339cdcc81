"""Files of a bucket are read in pieces, and the right ones, through the server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from conftest import ClientFor
from executions.file_bucket import BucketStorage
from executions.models import ExecutionFile
from executions.tests.factories import make_execution, make_file, make_user_of
from organizations.models import Organization
from organizations.tests.factories import make_membership
from tests import s3
from tests.bucket.conftest import url_of

MB = 1024**2


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

    headers_text = json.dumps(dict(answer.headers))
    assert answer.status_code == 200
    assert "files-" not in headers_text
    assert "127.0.0.1" not in headers_text
    assert "Location" not in answer.headers
    with pytest.raises(NotImplementedError):
        _ = file.content.url


def test_the_owner_of_a_file_is_asked_as_ever(
    organization: Organization, client_for: ClientFor, bucket: BucketStorage
) -> None:
    viewer, other = (make_membership(organization, "viewer") for _ in range(2))
    file = make_file(make_execution(organization, user=make_user_of(viewer)))

    assert client_for(viewer).get(url_of(file)).status_code == 200
    assert client_for(other).get(url_of(file)).status_code == 404


@contextmanager
def files_of(kind: type[BaseHTTPRequestHandler]) -> Iterator[None]:
    """Use a bucket that answers like this."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with s3.files_in(f"http://127.0.0.1:{server.server_port}", "files-of-nobody"):
            yield
    finally:
        server.shutdown()
        server.server_close()


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
    with files_of(BreaksOff), default_storage.open("executions/a/b") as opened:
        assert opened.read() == b"0123456789"

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
    with files_of(kind):
        answers = [operator.get(url_of(file), headers={"Range": asked}) for _ in range(2)]

    assert [each.status_code for each in answers] == [503, 503]
    assert answers[0]["Retry-After"] == "5"
