"""Access to the server's sockets, which ASGI servers do not offer to applications."""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress

MAX_OPEN_FILES = 65_536
UNSENT_BYTES = 64 * 1024
"""Beyond what fits into the client's window. The default of 4 MB per connection would be filled at
once for clients that do not read. Data in flight is not limited, so nothing is slowed down."""
ABORT_DELAY_SECONDS = 0.1
"""Connections that are due within this time are looked up together."""


class Connections:
    """Shuts connections down.

    They are found among the process's own file descriptors, all that are due in one pass.
    """

    def __init__(self) -> None:
        self._due: set[tuple[str, int]] = set()

    def abort(self, client: tuple[str, int]) -> None:
        """Shut down the connection of this client soon. Call it in the event loop."""
        if not self._due:
            asyncio.get_running_loop().call_later(ABORT_DELAY_SECONDS, self._shut_down)
        self._due.add(client)

    def _shut_down(self) -> None:
        due, self._due = self._due, set()
        for connected in _sockets():
            # A listening socket has no peer.
            with suppress(OSError):
                if connected.getpeername()[:2] in due:
                    connected.shutdown(socket.SHUT_RDWR)


connections = Connections()


def limit_what_waits_for_clients(seconds: int) -> None:
    """Limit unsent data per connection, and end connections that read nothing for `seconds`.

    This also covers responses that the server has already buffered in full (tcp(7), Linux).
    Connections inherit both options from the listening socket, so call this once it listens.
    """
    options = {"TCP_NOTSENT_LOWAT": UNSENT_BYTES, "TCP_USER_TIMEOUT": seconds * 1000}
    for listening in _sockets():
        with suppress(OSError):
            if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                continue
            for name, value in options.items():
                if option := getattr(socket, name, None):
                    listening.setsockopt(socket.IPPROTO_TCP, option, value)


def allow_many_connections() -> None:
    """Raise the limit of open files, which is often 1,024, to the hard limit: a server that reaches
    it accepts no connections."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        is_unlimited = hard == resource.RLIM_INFINITY
        wanted = MAX_OPEN_FILES if is_unlimited else min(hard, MAX_OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _sockets() -> Iterator[socket.socket]:
    """Every socket of this process, as a duplicate that is closed after use."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(folder):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            copy = os.dup(int(name))
            try:
                opened = socket.socket(fileno=copy)
            except OSError:
                os.close(copy)
                continue
            with opened:
                yield opened
