"""A mail server that goes on sending ends a delivery no later than one that is silent."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agentidp.env import env
from core import mail, mail_deadline
from core.mail_deadline import Deadline
from core.tests.certificates import make_certificate

LINES = 200


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate of this machine that mail servers are trusted with, and its key."""
    path = tmp_path / "certificate.pem"
    path.write_bytes(b"".join(make_certificate("localhost")))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@contextmanager
def dripping(certificate: Path | None) -> Iterator[tuple[int, list[int]]]:
    """A server with a greeting of many slow lines; its port, and the number of lines it sent."""
    sent = [0]
    stopped = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            if certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                while sent[0] < LINES and not stopped.wait(0.05):
                    connection.sendall(b"220-wait\r\n")
                    sent[0] += 1

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], sent
        finally:
            stopped.set()
            thread.join()


@pytest.mark.parametrize("tls", ["", "+tls", "+ssl"])
def test_a_delivery_has_a_deadline(
    tls: str, certificate: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_deadline, "DELIVERY_SECONDS", 0.3)
    with dripping(certificate if tls == "+ssl" else None) as (port, sent):
        monkeypatch.setenv("MAIL", f"smtp{tls}://localhost:{port}")
        for name, value in env.mail("MAIL").items():
            setattr(settings, name, value)

        with pytest.raises(OSError):
            mail.send("password", "b@example.com", subject="Hello", link="https://x", until="now")

    assert 0 < sent[0] < LINES


def test_a_connection_that_is_made_too_late_is_ended() -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    with ours, theirs, (deadline := Deadline(60)):
        deadline._cut()

        deadline.watch(ours)

        assert theirs.recv(1) == b""
