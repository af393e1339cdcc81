"""A proxy in front of a bucket that can hand its responses over byte by byte."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

BYTE_INTERVAL_SECONDS = 0.5
"""Far less than the timeout of a read."""


class Proxy:
    """Passes connections on. While it trickles, responses come one byte at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._over = threading.Event()
        self._trickles = threading.Event()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def trickle(self) -> None:
        self._trickles.set()

    def flow(self) -> None:
        self._trickles.clear()

    def serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _pass_on(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            threading.Thread(target=self._upward, args=(client, server), daemon=True).start()
            while data := server.recv(65536):
                while data and self._trickles.is_set() and not self._over.is_set():
                    client.sendall(data[:1])
                    data = data[1:]
                    self._over.wait(BYTE_INTERVAL_SECONDS)
                client.sendall(data)

    def _upward(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """Run a proxy in front of the server at the URL."""
    found = Proxy(url)
    threading.Thread(target=found.serve, daemon=True).start()
    try:
        yield found
    finally:
        found.close()
