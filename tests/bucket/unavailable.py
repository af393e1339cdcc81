"""Buckets that cannot be used, each in its own way."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from agentidp import health
from executions import bucket_deadlines, file_bucket
from executions.file_bucket import BucketStorage
from tests import s3
from tests.live.deployment import free_port


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
