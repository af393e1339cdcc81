"""/files: lists and downloads of the files that executions were given and made."""

from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.storage import default_storage
from django.test import Client

from conftest import ClientFor
from executions.models import Execution, ExecutionFile
from executions.tests.factories import START, make_execution, make_file, make_user_of
from organizations.models import Membership, Organization
from organizations.tests.factories import make_membership
from tests.kodosumi import REAL, import_folder

CONTENT = b"0123456789"


@pytest.fixture
def client(viewer: Membership, client_for: ClientFor) -> Client:
    return client_for(viewer)


@pytest.fixture
def execution(organization: Organization, viewer: Membership) -> Execution:
    return make_execution(organization, user=make_user_of(viewer))


@pytest.fixture
def file(execution: Execution) -> ExecutionFile:
    return make_file(execution, "out", "digits.txt", CONTENT)


def url_of(file: ExecutionFile) -> str:
    return f"/files/{file.execution.fid}/{file.area}/{quote(file.path)}"


def body_of(answer: Any) -> bytes:
    return b"".join(answer) if answer.streaming else answer.content


def test_the_list_names_every_file_of_the_area(client: Client, execution: Execution) -> None:
    make_file(execution, "in", "b/c.txt", b"12")
    make_file(execution, "in", "a.txt", b"1")
    make_file(execution, "out", "z.txt")

    answer = client.get(f"/files/{execution.fid}/in")

    assert answer.json() == [
        {"path": "in/a.txt", "size": 1, "last_modified": START},
        {"path": "in/b/c.txt", "size": 2, "last_modified": START},
    ]


@pytest.mark.usefixtures("each_storage")
def test_a_download_is_saved_and_never_shown(client: Client, file: ExecutionFile) -> None:
    answer = client.get(url_of(file))

    assert (answer.status_code, body_of(answer)) == (200, CONTENT)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Length"] == "10"
    assert answer["Content-Disposition"] == 'attachment; filename="digits.txt"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    assert answer["Accept-Ranges"] == "bytes"
    assert "private" in answer["Cache-Control"]


@pytest.mark.parametrize("name", ["x.svg", "x.html", "x.pdf", "x.js", "x.xml", "x.xhtml"])
def test_no_file_is_shown_whatever_its_name(
    client: Client, execution: Execution, name: str
) -> None:
    answer = client.get(url_of(make_file(execution, "out", name, b"<script>1</script>")))

    assert body_of(answer) == b"<script>1</script>"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("path", "disposition"),
    [
        ("Straße & Co.txt", "attachment; filename*=utf-8''Stra%C3%9Fe%20%26%20Co.txt"),
        ("dir/with space.csv", 'attachment; filename="with space.csv"'),
        ('a"b\\c.txt', 'attachment; filename="a\\"b\\\\c.txt"'),
        ("a\nb\rc\x7f.txt", 'attachment; filename="a_b_c_.txt"'),
        ("=?utf-8?q?x?=", "attachment; filename*=utf-8''%3D%3Futf-8%3Fq%3Fx%3F%3D"),
        ("🚀", "attachment; filename*=utf-8''%F0%9F%9A%80"),
    ],
)
def test_a_download_has_the_files_own_name(
    client: Client, execution: Execution, path: str, disposition: str
) -> None:
    answer = client.get(url_of(make_file(execution, "out", path, CONTENT)))

    assert (body_of(answer), answer["Content-Disposition"]) == (CONTENT, disposition)


# Ranges


@pytest.mark.usefixtures("each_storage")
@pytest.mark.parametrize(
    ("asked", "content", "named"),
    [
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=7-999", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", CONTENT, "bytes 0-9/10"),
    ],
)
def test_a_range_is_a_part(
    client: Client, file: ExecutionFile, asked: str, content: bytes, named: str
) -> None:
    answer = client.get(url_of(file), headers={"Range": asked})

    assert (answer.status_code, body_of(answer)) == (206, content)
    assert (answer["Content-Range"], answer["Content-Length"]) == (named, str(len(content)))


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=99-", "bytes=-0"])
def test_a_range_outside_is_refused(client: Client, file: ExecutionFile, asked: str) -> None:
    answer = client.get(url_of(file), headers={"Range": asked})

    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */10")
    assert answer.json()["code"] == "RANGE_NOT_SATISFIABLE"


@pytest.mark.parametrize(
    "asked",
    [
        *("", "bytes=-", "bytes=5-2", "lines=1-2", "bytes=1-2,4-5", "bytes=x-y", "bytes 1-2"),
        *("bytes=" + "0-1," * 1000, "bytes=" + "9" * 5000 + "-", "bytes=²-"),
    ],
)
def test_anything_but_a_single_range_returns_the_whole_file(
    client: Client, file: ExecutionFile, asked: str
) -> None:
    answer = client.get(url_of(file), headers={"Range": asked})

    assert (answer.status_code, body_of(answer)) == (200, CONTENT)


def test_a_range_of_another_version_is_the_whole_file(client: Client, file: ExecutionFile) -> None:
    first = client.head(url_of(file))
    codes = {}

    for name in ("ETag", "Last-Modified"):
        for condition in (first[name], 'W/"x"', "Mon, 01 Jan 2024 00:00:00 GMT"):
            headers = {"Range": "bytes=1-2", "If-Range": condition}
            answer = client.get(url_of(file), headers=headers)
            codes[condition] = (answer.status_code, body_of(answer))

    assert codes == dict.fromkeys(codes, (200, CONTENT)) | {
        first["ETag"]: (206, b"12"),
        first["Last-Modified"]: (206, b"12"),
    }


def test_a_file_that_the_caller_has_is_not_sent_again(client: Client, file: ExecutionFile) -> None:
    etag = client.head(url_of(file))["ETag"]

    same = client.get(url_of(file), headers={"If-None-Match": etag})
    other = client.get(url_of(file), headers={"If-Match": '"other"'})

    assert (same.status_code, same.content) == (304, b"")
    assert (other.status_code, other.json()["code"]) == (412, "PRECONDITION_FAILED")


@pytest.mark.usefixtures("each_storage")
def test_an_empty_file_has_no_range(client: Client, execution: Execution) -> None:
    url = url_of(make_file(execution, "out", "empty.log", b""))

    whole, part = client.get(url), client.get(url, headers={"Range": "bytes=0-"})

    assert (whole.status_code, body_of(whole), whole["Content-Length"]) == (200, b"", "0")
    assert (part.status_code, part["Content-Range"]) == (416, "bytes */0")


@pytest.mark.usefixtures("each_storage")
def test_head_has_the_headers_of_get(client: Client, file: ExecutionFile) -> None:
    head, get = client.head(url_of(file)), client.get(url_of(file))

    assert (head.status_code, head.content, body_of(get)) == (200, b"", CONTENT)
    names = ("Content-Length", "Content-Type", "Content-Disposition", "ETag", "Last-Modified")
    assert [head[name] for name in names] == [get[name] for name in names]


@pytest.mark.usefixtures("each_storage")
def test_a_large_file_comes_in_pieces(client: Client, execution: Execution) -> None:
    content = bytes(range(256)) * 4096

    answer = client.get(url_of(make_file(execution, "out", "big", content)))

    pieces = list(answer)
    assert b"".join(pieces) == content
    assert max(len(piece) for piece in pieces) <= 64 * 1024


@pytest.mark.usefixtures("each_storage")
def test_a_file_that_the_storage_lost_is_unknown(client: Client, file: ExecutionFile) -> None:
    default_storage.delete(file.content.name)

    assert client.get(url_of(file)).status_code == 404


# Permissions


def test_a_session_downloads(file: ExecutionFile, viewer: Membership, signed_in: Any) -> None:
    assert body_of(signed_in(viewer).get(url_of(file))) == CONTENT


@pytest.mark.usefixtures("each_storage")
@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_operators_read_everybodys_files_others_their_own(
    organization: Organization, file: ExecutionFile, client_for: ClientFor, role: str
) -> None:
    other = client_for(make_membership(organization, role))
    urls = (url_of(file), url_of(file).rpartition("/")[0])

    answers = [other.get(url) for url in urls]

    assert len([body_of(answer) for answer in answers]) == 2
    assert {answer.status_code for answer in answers} == {200 if role == "operator" else 404}


PATHS = [
    *("..", "../..", "../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd"),
    *("..%5c..%5cetc%5cpasswd", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "C:%5cx", "C:x"),
    *("%00", "digits.txt%00", "digits.txt%00.png", "CON", "NUL.txt", "x" * 300, "x" * 5000),
    *("-rf", "./digits.txt", "a/../digits.txt", "digits.txt.", "digits.txt/", "digits.txt%20"),
    *(".git/config", "%c0%ae%c0%ae/x", "%ed%a0%80", "%252e%252e/x", "DIGITS.TXT", "in/digits.txt"),
    *("..;/x", "%EF%BC%8E%EF%BC%8E/x", "~root", "*", "%25", "%", "?path=digits.txt", "#", ""),
]


@pytest.mark.parametrize("area", ["in", "out", "..", "", "IN", "out%2f..", "%2e%2e"])
@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_anywhere_else(
    client: Client, file: ExecutionFile, area: str, path: str
) -> None:
    answer = client.get(f"/files/{file.execution.fid}/{area}/{path}")

    assert answer.status_code in {400, 404}
    assert answer["Content-Type"] == "application/json"


def test_a_stored_name_never_leads_out_of_the_storage(client: Client, execution: Execution) -> None:
    """Names in hostile data are only labels: the storage knows files by id."""
    for path in ("../../escape.txt", "/etc/passwd", "C:\\x", ".git/config"):
        file = make_file(execution, "out", path, CONTENT)

        assert path not in file.content.name
        assert ".." not in file.content.name


@pytest.mark.parametrize("kind", ["in", "out", "in/Bericht Größe.txt"])
def test_an_unknown_execution_has_no_files(client: Client, kind: str) -> None:
    answer = client.get(f"/files/unknown/{kind}")

    assert (answer.status_code, answer.json()["code"]) == (404, "EXECUTION_NOT_FOUND")


@pytest.mark.usefixtures("each_storage")
def test_every_real_file_comes_back_byte_for_byte(
    organization: Organization, client_for: ClientFor
) -> None:
    import_folder(REAL, organization)
    operator = client_for(make_membership(organization, "operator"))
    sources = [
        path
        for area in ("in", "out")
        for path in REAL.glob(f"execution/*/*/{area}/**/*")
        if path.is_file()
    ]

    for source in sources:
        fid, area, path = "/".join(source.parts).partition("/execution/")[2].split("/", 3)[1:]
        listed = {each["path"]: each for each in operator.get(f"/files/{fid}/{area}").json()}
        answer = operator.get(f"/files/{fid}/{area}/{quote(path)}")

        assert body_of(answer) == source.read_bytes()
        assert listed[f"{area}/{path}"]["size"] == source.stat().st_size
    assert len(sources) == 9
