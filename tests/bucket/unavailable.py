"""Buckets that cannot be used, each in its own way."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from agentidp import health
from executions import bucket_deadlines, file_bucket
from executions.file_bucket import BucketStorage
from tests import s3
from tests.live.deployment import free_port

BYTE_INTERVAL_SECONDS = 0.05
TRICKLED_BYTES = 600
"""Half a minute's worth, after which the response is complete."""
LENGTH = re.compile(rb"content-length: ([0-9]+)", re.IGNORECASE)
DONE = b"\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def away(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketStorage]:
    """A storage that does not exist ("closed"), one that accepts connections and never answers
    ("silent"), one that answers byte by byte ("trickling"), or one that reads what is sent so
    slowly ("slow").

    The last two succeed within half a minute and a minute, so only a deadline makes them fail.
    """
    seconds = 120 if kind in {"trickling", "slow"} else 0.3
    # The timeout of connecting is that of sending as well.
    timeouts = {"connect_timeout": seconds, "read_timeout": seconds}
    with monkeypatch.context() as patched:  # what comes after the block may take longer
        patched.setattr(file_bucket, "TIMEOUTS", timeouts)
        patched.setattr(file_bucket, "OUTAGE_PAUSE_SECONDS", 600.0)
        patched.setattr(bucket_deadlines, "REQUEST_SECONDS", 1.0)
        health.files_problem.forget()
        with socket.socket() as listening:
            if kind == "closed":
                port = free_port()
            else:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                listening.bind(("127.0.0.1", 0))
                listening.listen(128)
                port = listening.getsockname()[1]
                if kind != "silent":
                    serve = {"trickling": answer_slowly, "slow": read_slowly}[kind]
                    threading.Thread(target=accept, args=(listening, serve), daemon=True).start()
            with s3.files_in(f"http://127.0.0.1:{port}", "files-of-nobody") as storage:
                yield storage
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
        health.files_problem.forget()


def accept(listening: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    def served(client: socket.socket) -> None:
        with client, suppress(OSError):
            serve(client)

    with suppress(OSError):  # closed
        while True:
            threading.Thread(target=served, args=(listening.accept()[0],), daemon=True).start()


def answer_slowly(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(TRICKLED_BYTES):
        client.sendall(b"x")
        time.sleep(BYTE_INTERVAL_SECONDS)
    client.sendall(DONE)


def read_slowly(client: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(1) or DONE  # the client has given up
    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = LENGTH.search(head)
    missing = int(length[1]) if length else 0
    while missing > 0:
        missing -= len(client.recv(4096)) or missing
        time.sleep(BYTE_INTERVAL_SECONDS)
    client.sendall(b"HTTP/1.1 200 OK" + DONE)
