"""The files of executions in a bucket, with a real server and a third-party storage."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests import s3
from tests.live.deployment import Deployment, deployed
from tests.live.engine import PART, Engine

pytestmark = pytest.mark.slow

MB = 1024**2
LARGE = 48 * MB


@pytest.fixture(scope="module")
def running(s3_server: str) -> Iterator[Deployment]:
    names = {"KEY_ID": s3.KEYS["access_key"], "SECRET_KEY": s3.KEYS["secret_key"]}
    names |= {"ENDPOINT": s3_server, "FOLDER": "agentidp/files", "REGION": "us-east-1"}
    bucket = {f"AGENTIDP_FILES_BUCKET_{name}": value for name, value in names.items()}
    bucket["AGENTIDP_FILES_BUCKET"] = s3.make_bucket(s3_server)
    with deployed(durable=False, agents=1, settings=bucket) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def engine(running: Deployment) -> Engine:
    return Engine(running, running.clients[0])


@pytest.fixture(scope="module")
def large(engine: Engine) -> str:
    return engine.upload("large.bin", LARGE)


def bearer(engine: Engine) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.token}"}


def test_a_large_file_passes_in_pieces(running: Deployment, engine: Engine, large: str) -> None:
    before = running.server.memory()
    size = most = 0

    with requests.get(large, headers=bearer(engine), stream=True, timeout=60) as answer:
        for piece in answer.iter_content(MB):
            size += len(piece)
            most = max(most, running.server.memory())

    assert size == LARGE
    assert most - before < 8 * MB, "no process holds the file"


def test_parts_that_arrive_at_once_become_one_file(engine: Engine) -> None:
    size = 6 * MB
    new = {"area": "out", "path": "at-once.bin", "size": size}
    upload = engine.post(f"executions/{engine.fid}/files", new)["uploadId"]
    content = bytes(range(256)) * (size // 256)

    def put(first: int) -> int:
        span = f"bytes {first}-{first + PART - 1}/{size}"
        kind = {"Content-Type": "application/octet-stream", "Content-Range": span}
        url = f"{engine.url}/api/v1/executions/{engine.fid}/uploads/{upload}"
        part = content[first : first + PART]
        return requests.put(url, part, headers=bearer(engine) | kind, timeout=60).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(put, range(0, size, PART)))

    url = f"{engine.url}/files/{engine.fid}/out/at-once.bin"
    found = requests.get(url, headers=bearer(engine), timeout=60)
    tail = requests.get(url, headers=bearer(engine) | {"Range": "bytes=-5"}, timeout=60)
    assert statuses == [200] * 6
    assert found.content == content
    assert (tail.status_code, tail.content) == (206, content[-5:])


def test_clients_that_do_not_read_delay_nobody(
    running: Deployment, engine: Engine, large: str
) -> None:
    path = large.removeprefix(running.url)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {engine.token}\r\n\r\n"
    silent = []
    before = running.server.memory()
    try:
        for _ in range(24):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(running.address)
            client.sendall(head.encode())
            silent.append(client)
        for client in silent:
            assert client.recv(100)
        began = time.monotonic()
        answer = requests.get(large, headers=bearer(engine) | {"Range": "bytes=0-9"}, timeout=30)
        assert answer.content == bytes(10)
        assert time.monotonic() - began < 10
        assert running.server.memory() - before < 24 * MB
    finally:
        for client in silent:
            client.close()


def test_callers_without_access_get_nothing_and_no_response_points_to_the_bucket(
    running: Deployment, engine: Engine, large: str, s3_server: str
) -> None:
    allowed = requests.get(
        large, headers=bearer(engine) | {"Range": "bytes=0-9"}, timeout=30, allow_redirects=False
    )
    stranger = Engine(running, running.clients[-1])

    refused = requests.get(large, headers=bearer(stranger), timeout=30)
    nobody = requests.get(large, timeout=30, allow_redirects=False)

    assert (allowed.status_code, refused.status_code, nobody.status_code) == (206, 404, 401)
    for answer in (allowed, refused, nobody):
        assert s3_server.partition("//")[2] not in json.dumps(dict(answer.headers))
        assert "files-" not in json.dumps(dict(answer.headers))


def test_with_the_execution_its_files_go(running: Deployment, engine: Engine) -> None:
    other = engine.another()
    url = other.upload("small.bin", 1000)
    other.finish()
    assert requests.get(url, headers=bearer(engine), timeout=30).status_code == 200

    gone = requests.delete(
        f"{engine.url}/api/v1/executions/{other.fid}", headers=bearer(engine), timeout=30
    )

    assert gone.status_code == 204, gone.text
    names = running.server.environment
    with s3.files_in(
        names["AGENTIDP_FILES_BUCKET_ENDPOINT"], names["AGENTIDP_FILES_BUCKET"]
    ) as storage:
        keys = storage.client.list_objects_v2(Bucket=storage.bucket_name)["Contents"]
    assert not [each for each in keys if each["Size"] == 1000]
    assert all(each["Key"].startswith("agentidp/files/executions/") for each in keys)
