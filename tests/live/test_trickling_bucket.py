"""A bucket whose responses never end takes no more than half of a server's threads."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest
import requests

from tests import s3
from tests.live.deployment import Deployment, deployed
from tests.live.engine import Engine
from tests.live.trickle import Proxy, proxy

pytestmark = pytest.mark.slow

AT_ONCE = 10
"""Downloads, and as many uploads, of each of two organizations."""
SECONDS = 12
"""Longer than a deadline and the pause after it."""


@pytest.fixture(scope="module")
def before_bucket(s3_server: str) -> Iterator[Proxy]:
    with proxy(s3_server) as running:
        yield running


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def running(
    request: pytest.FixtureRequest, s3_server: str, before_bucket: Proxy
) -> Iterator[Deployment]:
    names = {"KEY_ID": s3.KEYS["access_key"], "SECRET_KEY": s3.KEYS["secret_key"]}
    names |= {"ENDPOINT": before_bucket.url, "REGION": "us-east-1"}
    bucket = {f"AGENTIDP_FILES_BUCKET_{name}": value for name, value in names.items()}
    bucket["AGENTIDP_FILES_BUCKET"] = s3.make_bucket(s3_server)
    with deployed(
        durable=False, agents=1, settings=bucket, interface=request.param, organizations=3
    ) as deployment:
        yield deployment


def test_a_bucket_that_trickles_leaves_threads_for_everything_else(
    running: Deployment, before_bucket: Proxy
) -> None:
    *hostile, other = [Engine(running, client) for client in running.clients]
    files = [each.upload("small.bin", 1000) for each in hostile]
    runs = [[each.another() for _ in range(2 * AT_ONCE)] for each in hostile]
    ask_others(other)
    alone = median(ask_others(other) for _ in range(5))
    over = threading.Event()
    statuses: Counter[int] = Counter()
    longest: list[float] = []

    def again_and_again(whose: int, number: int) -> None:
        engine, counter = runs[whose][number], 0
        while not over.is_set():
            counter += 1
            began = time.monotonic()
            if number % 2:
                headers = {"Authorization": f"Bearer {engine.token}"}
                status = requests.get(files[whose], headers=headers, timeout=60).status_code
            else:
                status = status_of_upload(engine, f"{counter}.bin")
            statuses[status] += 1
            longest.append(time.monotonic() - began)

    before_bucket.trickle()
    with ThreadPoolExecutor(4 * AT_ONCE) as pool:
        asked = [
            pool.submit(again_and_again, whose, number)
            for whose in range(len(hostile))
            for number in range(2 * AT_ONCE)
        ]
        try:
            until, beside = time.monotonic() + SECONDS, []
            while time.monotonic() < until:
                beside.append(ask_others(other))
        finally:
            over.set()
            before_bucket.flow()
        for each in asked:
            each.result()

    figures = (alone, sorted(beside)[-5:], statuses, max(longest))
    assert max(beside) < 3 + 10 * alone, figures
    assert max(longest) < 20, figures
    assert set(statuses) <= {200, 503}, figures
    assert statuses[503] > AT_ONCE, figures


def status_of_upload(engine: Engine, path: str) -> int:
    new = {"area": "out", "path": path, "size": 3}
    headers = {"Authorization": f"Bearer {engine.token}"}
    url = f"{engine.url}/api/v1/executions/{engine.fid}"
    announced = requests.post(f"{url}/files", json=new, headers=headers, timeout=60)
    if not announced.ok:
        return announced.status_code
    kind = {"Content-Type": "application/octet-stream", "Content-Range": "bytes 0-2/3"}
    place = f"{url}/uploads/{announced.json()['uploadId']}"
    return requests.put(place, b"abc", headers=headers | kind, timeout=60).status_code


def ask_others(engine: Engine) -> float:
    """The seconds that the slowest of requests without files takes, which must succeed."""
    slowest = 0.0
    headers = {"Authorization": f"Bearer {engine.token}"}
    for path in ("/livez", "/api/v1/agents", "/timeline/list", "/login"):
        began = time.monotonic()
        answer = requests.get(engine.url + path, headers=headers, timeout=60)
        slowest = max(slowest, time.monotonic() - began)
        assert answer.status_code in {200, 302, 404}, (path, answer.status_code, answer.text[:300])
    return slowest
