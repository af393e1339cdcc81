"""What clients that take nothing cost the others: `python -m benchmarks.slow_clients`.

On a server as `make demo` runs it: ordinary requests alone, then beside so many downloads of a file
of 30 MB that nobody reads, until the server has cut them. Prints the 95th percentile of both, the
memory, and how long the silent ones were kept.
"""

import argparse
import socket
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import requests

from tests.live.deployment import Server, deployed
from tests.live.engine import Engine
from tests.live.test_streams import is_established

SIZE = 30 * 1024**2
REQUESTS = 100
LONGEST = 60
"""Seconds until a request is given up."""
QUIET_WITHIN = 8
"""Seconds; the silent ones are cut after 20."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--silent", type=int, default=64)
    silent: int = parser.parse_args().silent
    with deployed(durable=False, agents=1) as deployment, ExitStack() as stack:
        engine = Engine(deployment, deployment.clients[0])
        url = engine.upload("big.bin", SIZE)
        good(engine)  # warm up
        alone, memory = good(engine), deployment.server.memory()
        began = time.monotonic()
        clients = [stack.enter_context(silent_download(engine, url)) for _ in range(silent)]
        for client in clients:
            with suppress(TimeoutError):
                client.recv(12)  # its answer has begun, as far as the server can begin it
        opening = good(engine)
        wait_until_quiet(deployment.server)
        beside, more = good(engine), deployment.server.memory() - memory
        while any(is_established(client.getsockname()) for client in clients):
            time.sleep(0.1)
            if time.monotonic() - began > 2 * LONGEST:
                break
        kept = time.monotonic() - began
        after, left = good(engine), deployment.server.memory() - memory
    print(f"{silent} downloads that nobody reads")
    for path in alone:
        print(
            f"p95 of {path}: alone {alone[path]:.0f} ms, while they open {opening[path]:.0f}, "
            f"beside {beside[path]:.0f}, after {after[path]:.0f}"
        )
    print(f"memory: +{more / 1e6:.0f} MB beside, +{left / 1e6:.0f} MB after; kept {kept:.1f} s")


def wait_until_quiet(server: Server) -> None:
    """Until it has sent what the system takes for the silent ones, and uses no processor."""
    until = time.monotonic() + QUIET_WITHIN
    used = server.processor_seconds()
    while time.monotonic() < until:
        time.sleep(0.5)
        before, used = used, server.processor_seconds()
        if used - before <= 0.02:
            return


def silent_download(engine: Engine, url: str) -> socket.socket:
    parts = urlsplit(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(2)
    client.connect((parts.hostname, parts.port))
    client.sendall(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {engine.token}\r\n\r\n".encode()
    )
    return client


def good(engine: Engine) -> dict[str, float]:
    """The 95th percentile in milliseconds of requests that do no harm, one after the other."""
    found = {}
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {engine.token}"
        for path in ("/livez", "/api/v1/agents"):
            times = []
            for _ in range(REQUESTS):
                began = time.monotonic()
                session.get(f"{engine.url}{path}", timeout=LONGEST)
                times.append(time.monotonic() - began)
                if times[-1] > 1:  # it stands still: one such request says enough
                    break
            found[path] = sorted(times)[int(len(times) * 0.95)] * 1000
    return found


if __name__ == "__main__":
    main()
