"""Both servers of a production, with nginx in front, on one deployment."""

import os
import secrets
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pytest

from agentidp.devtools.bootstrap_tools import find_proxy, has_stream_module
from core import server_options
from core.tests.certificates import make_certificate
from tests.live.deployment import PROJECT, Deployment, free_port, running, wait_until_open

HOST = "id.example.com"
PRODUCTION = {
    "AGENTIDP_ENVIRONMENT": "production",
    "AGENTIDP_ISSUER": f"https://{HOST}",
    "AGENTIDP_ALLOWED_HOSTS": f"{HOST},localhost",
    "AGENTIDP_BEHIND_TLS_PROXY": "true",
    "AGENTIDP_TRUSTED_PROXY_HOPS": "1",
    **{
        f"AGENTIDP_{name}": secrets.token_urlsafe(48)
        for name in ("SECRET_KEY", "SECRET_PEPPER", "KEY_ENCRYPTION_KEY")
    },
}
START_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Reply:
    """A response as received on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(address: str | tuple[str, int], sent: bytes, *, is_half_closed: bool = False) -> Reply:
    """The server's response to these bytes, after which it must close the connection
    (Connection: close). With `is_half_closed` the client signals that it sends no more.
    """
    kind = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(kind) as client:
        client.settimeout(30)
        client.connect(address)
        received = b""
        # A server that refuses the request need not read all of it.
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(sent)
            if is_half_closed:
                client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while part := client.recv(65536):
                received += part
    return parsed(received)


def parsed(received: bytes) -> Reply:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Reply(int(first.split()[1]), headers, body)


@contextmanager
def wsgi_server(
    deployment: Deployment, *listening: str, workers: int = 2, threads: int = 4
) -> Iterator[subprocess.Popen[bytes]]:
    """The server for ordinary requests, started as in docs/how-to/deploy.md."""
    command = [sys.executable, "-m", "granian", *server_options.WSGI, *listening]
    command += ["--workers", str(workers), "--blocking-threads", str(threads)]
    command += ["--workers-kill-timeout", "3", "--log-level", "warning"]
    command += ["agentidp.wsgi:application"]
    log = deployment.log.with_name("wsgi.log")
    with running(command, deployment.server.environment, log) as process:
        yield process


def wait_for(address: str | tuple[str, int]) -> None:
    """Wait until /livez responds."""
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            request = f"GET /livez HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
            ask(address, request.encode())
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)


def require_nginx() -> str:
    """The nginx executable; skips the test if there is none."""
    found = find_proxy()
    if not has_stream_module(found):
        pytest.skip("There is no nginx: apt-get install nginx-light libnginx-mod-stream")
    return found


@contextmanager
def unit(kind: str, number: int, deployment: Deployment, folder: Path) -> Iterator["Unit"]:
    """An instance of a unit of deploy/systemd/, started and stopped as systemd does, with its
    sockets in the folder.
    """
    found = Unit(kind, number, deployment, folder)
    found.start()
    try:
        yield found
    finally:
        found.stop()


class Unit:
    def __init__(self, kind: str, number: int, deployment: Deployment, folder: Path) -> None:
        self.name = f"{kind}-{number}"
        text = (PROJECT / f"deploy/systemd/agentidp-{kind}@.service").read_text()
        here = {"%i": str(number), "%t/agentidp": str(folder), "\\\n": ""}
        here["/opt/agentidp/.venv/bin/"] = f"{Path(sys.executable).parent}/"
        for shipped, replacement in here.items():
            assert shipped in text
            text = text.replace(shipped, replacement)
        self.lines = [line.partition("=") for line in text.splitlines()]
        self.environment = deployment.server.environment | {"PYTHONPATH": str(PROJECT)}
        self.log = deployment.log.with_name(f"{self.name}.log")

    def start(self) -> None:
        """Start the unit and wait until it is ready."""
        self._run_all("ExecStartPre")
        [command] = self._commands("ExecStart")
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--log-level", "warning"],
                env=self.environment,
                cwd=PROJECT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._run_all("ExecStartPost")

    def stop(self) -> None:
        self._run_all("ExecStop")
        self.process.terminate()
        assert self.process.wait(40) == 0, self.log.read_text()

    def kill(self) -> None:
        """Kill it as the out-of-memory killer does, without any clean-up."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _run_all(self, key: str) -> None:
        for command in self._commands(key):
            subprocess.run(command, env=self.environment, cwd=PROJECT, check=True)

    def _commands(self, key: str) -> list[list[str]]:
        given = dict(value.split("=", 1) for name, _, value in self.lines if name == "Environment")
        return [
            shlex.split(Template(value).safe_substitute(given))
            for name, _, value in self.lines
            if name == key
        ]


@contextmanager
def nginx(
    deployment: Deployment | None, folder: Path, changes: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run deploy/nginx-main.conf and deploy/nginx.conf with the sockets in the folder; yields their
    port. `changes` edit their texts. Without a deployment, every request is a 502.
    """
    program, port = require_nginx(), free_port()
    main, site = (
        (PROJECT / "deploy" / name).read_text() for name in ("nginx-main.conf", "nginx.conf")
    )
    temporary = "".join(
        f"  {name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    both = f"{main}\0{site}".replace("unix:/run/agentidp/", f"unix:{folder}/")
    both = both.replace("unix:/run/agentidp-proxy/", f"unix:{folder}/")
    for shipped, here in {
        "user www-data;": f"{user}\ndaemon off;",
        "pid /run/nginx.pid;": f"pid {folder}/pid;",
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "    listen 443 sndbuf": f"    listen 127.0.0.1:{port} sndbuf",
        "  include /etc/nginx/conf.d/*.conf;": f"{temporary}  include {folder}/agentidp.conf;",
        "/etc/ssl/agentidp/fullchain.pem": f"{folder}/certificate.pem",
        "/etc/ssl/agentidp/key.pem": f"{folder}/key.pem",
        "/var/log/nginx/access.log": f"{folder}/access.log",
        **(changes or {}),
    }.items():
        assert both.count(shipped) == 1, shipped
        both = both.replace(shipped, here)
    main, site = both.split("\0")
    (folder / "nginx.conf").write_text(main)
    (folder / "agentidp.conf").write_text(site)
    write_certificate(folder)
    command = [program, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
    test = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert test.returncode == 0, test.stderr
    log = folder / "nginx.log"
    environment = deployment.server.environment if deployment else dict(os.environ)
    with running(command, environment, log) as process:
        wait_until_open(port, process, log)
        yield port


def write_certificate(folder: Path) -> None:
    """Write a self-signed certificate for HOST and this machine, and its key."""
    certificate, key = make_certificate(HOST, "localhost")
    (folder / "certificate.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)


def tls(port: int, folder: Path, source: str = "127.0.0.1") -> ssl.SSLSocket:
    """A TLS connection to the proxy, as a client of HOST."""
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    plain = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return context.wrap_socket(plain, server_hostname=HOST)
