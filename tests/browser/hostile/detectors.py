"""Detectors for the effects that hostile output must not have in a browser."""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page

from executions.tests.vectors import FOREIGN, NUMBER
from tests.browser.hostile.output import NAMES

HOST = re.compile(rb"v(\d+)\." + re.escape(FOREIGN).encode())
PATIENCE = 60
"""Seconds."""
SETTLE_MS = 500
SCRIPT_RAN = re.compile(rf"{NUMBER}(\d\d\d)")


class Canary:
    """A server to which all foreign hosts resolve; it records which of them received a request.

    A connection alone is not a request: Chromium opens one early for the URL of a frame, before the
    policy refuses the frame.
    """

    def __init__(self, certificate: Path) -> None:
        self.heard: set[int] = set()
        self.connections = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.arguments = [
            f"--host-resolver-rules=MAP *.{FOREIGN} 127.0.0.1:{self.socket.getsockname()[1]}",
            # Otherwise no request would arrive here.
            "--disable-features=LocalNetworkAccessChecks",
        ]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.listen, args=[connection], daemon=True).start()

    def listen(self, connection: socket.socket) -> None:
        self.connections += 1
        with contextlib.suppress(OSError):
            connection.settimeout(5)
            with self.context.wrap_socket(connection, server_side=True) as secured:
                if said := secured.recv(4096):
                    self.heard |= {int(number) for number in HOST.findall(said)} or {0}
                    secured.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@dataclass
class Detector:
    """Detects what the pages of a context must not do."""

    context: BrowserContext
    canary: Canary
    ran: set[int] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Violations of the Content-Security-Policy."""

    def __post_init__(self) -> None:
        self.canary.heard.clear()
        self.canary.connections = 0
        self.context.on("console", self.hear)
        self.context.on("weberror", lambda error: self.strange.append(str(error.error)))
        self.context.on("dialog", self.dismiss)
        self.context.on("request", lambda request: self.watch(request.url))

    def hear(self, message: ConsoleMessage) -> None:
        if found := SCRIPT_RAN.fullmatch(message.text.strip()):
            self.ran.add(int(found[1]))
        elif "Content Security Policy" in message.text:
            self.refused.append(message.text)

    def dismiss(self, dialog: Dialog) -> None:
        self.strange.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def watch(self, url: str) -> None:
        if url.endswith("/hostile"):
            self.strange.append(f"request: {url}")

    def wait_for(self, attacks: set[str], page: Page) -> None:
        """Wait until these have happened, or for PATIENCE."""
        until = time.monotonic() + PATIENCE
        while not self.attacks >= attacks and time.monotonic() < until:
            page.wait_for_timeout(50)  # in which Playwright reports what happened

    @property
    def attacks(self) -> set[str]:
        """The names of the vectors that ran or received a response."""
        return {NAMES.get(number, "unknown") for number in self.ran | self.canary.heard}


def settle(page: Page) -> None:
    """Let the time pass in which attacks would happen: where none may, nothing can be awaited."""
    page.wait_for_timeout(SETTLE_MS)


@contextmanager
def listening(browser: Browser, canary: Canary, **how: Any) -> Iterator[tuple[Detector, Page]]:
    context = browser.new_context(ignore_https_errors=True, **how)
    yield Detector(context, canary), context.new_page()
    context.close()
