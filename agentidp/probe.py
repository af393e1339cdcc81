"""Checks whether a server is ready: `python -m agentidp.probe [--wait SECONDS] WHERE`.

For supervisors and containers. It uses only the standard library, so it takes a fraction of a
second.
"""

import argparse
import http.client
import os
import socket
import sys
import time

PATH = "/readyz"


class OverUnixSocket(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def is_ready(where: str) -> bool:
    """Whether the server reports that it is ready."""
    kind = OverUnixSocket if "/" in where else http.client.HTTPConnection
    connection = kind(where, timeout=5)
    try:
        connection.request("GET", PATH, headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def has_ended() -> bool:
    """Whether systemd's main process has ended, as it does at once with a wrong setting."""
    try:
        os.kill(int(os.environ.get("MAINPID", os.getpid())), 0)
    except ProcessLookupError:
        return True
    return False


def main() -> int:
    """Return 0 as soon as the server is ready, or 1 if it has ended or is not ready in time."""
    parser = argparse.ArgumentParser(description="Ask a server whether it is ready.")
    parser.add_argument("where", help="a Unix socket or HOST:PORT")
    parser.add_argument("--wait", type=float, default=0, help="seconds to wait for an answer")
    options = parser.parse_args()
    until = time.monotonic() + options.wait
    while not is_ready(options.where):
        if has_ended():
            sys.stderr.write("The server has ended; its log says why.\n")
            return 1
        if time.monotonic() >= until:
            sys.stderr.write(f"{options.where} is not ready.\n")
            return 1
        time.sleep(0.2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
