"""Django's mail backend with a deadline for the whole of a delivery.

`EMAIL_TIMEOUT` applies to each read: a server that goes on sending a line now and then would keep a
worker's place for ever.
"""

import os
import smtplib
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import EmailMessage

DELIVERY_SECONDS = 60.0

_current = threading.local()


class Deadline:
    """Ends the connections of one delivery from outside."""

    def __init__(self, seconds: float) -> None:
        self._is_over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        _current.deadline = self
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        del _current.deadline
        self._timer.cancel()
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            # A socket of its own, because TLS takes the connection's over.
            self._sockets.append(socket.socket(fileno=os.dup(connection.fileno())))
        if self._is_over:
            self._cut()

    def _cut(self) -> None:
        self._is_over = True
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class _Smtp(smtplib.SMTP):
    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        _current.deadline.watch(connection)
        return connection


class _SmtpOverTls(smtplib.SMTP_SSL, _Smtp):
    """Its socket comes from the class above, before the handshake."""


class SmtpBackend(EmailBackend):
    """Raises what smtplib raises for a server that closes the connection, once the time is over."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SmtpOverTls if self.use_ssl else _Smtp

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> Any:
        with Deadline(DELIVERY_SECONDS):
            return super().send_messages(email_messages)
