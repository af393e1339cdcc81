"""What servers do not offer to their applications: the sockets beneath them."""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress

MAX_OPEN_FILES = 65_536
UNSENT_BYTES = 64 * 1024
"""Beyond what a client has room for; otherwise 4 MB for each, made at once for all who then do not
take it. What is on its way is not limited, so nobody gets anything later."""
SECONDS_TO_COLLECT = 0.1
"""Connections that are to be shut down within this time are looked for together."""


class Connections:
    """Shuts connections down: they are found among the process's own files, all that are due at
    once in one look."""

    def __init__(self) -> None:
        self._due: set[tuple[str, int]] = set()

    def abort(self, client: tuple[str, int]) -> None:
        """Soon, from the event loop."""
        if not self._due:
            asyncio.get_running_loop().call_later(SECONDS_TO_COLLECT, self._shut_down)
        self._due.add(client)

    def _shut_down(self) -> None:
        due, self._due = self._due, set()
        for found in _sockets():
            # A socket that listens has no peer.
            with suppress(OSError):
                if found.getpeername()[:2] in due:
                    found.shutdown(socket.SHUT_RDWR)


connections = Connections()


def limit_what_waits_for_clients(seconds: int) -> None:
    """Let the system keep little of an answer for a connection, and end every connection whose
    client has taken nothing for so long: it knows of answers that the server has whole already
    (tcp(7), Linux).

    Connections have both from the socket that accepted them, so this comes once that one listens.
    """
    options = {"TCP_NOTSENT_LOWAT": UNSENT_BYTES, "TCP_USER_TIMEOUT": seconds * 1000}
    for found in _sockets():
        with suppress(OSError):
            if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                continue
            for name, value in options.items():
                if option := getattr(socket, name, None):
                    found.setsockopt(socket.IPPROTO_TCP, option, value)


def allow_many_connections() -> None:
    """Lift the number of open files, which is often 1,024, to what the system permits: a server
    that has reached it accepts nobody."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        is_unlimited = hard == resource.RLIM_INFINITY
        wanted = MAX_OPEN_FILES if is_unlimited else min(hard, MAX_OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _sockets() -> Iterator[socket.socket]:
    """Every socket of this process, as a copy that is closed again."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(folder):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            copy = os.dup(int(name))
            try:
                found = socket.socket(fileno=copy)
            except OSError:
                os.close(copy)
                continue
            with found:
                yield found
