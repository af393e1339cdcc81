"""A deployment for tests from outside: PostgreSQL, a real server, two organizations.

Nothing here imports Django: the server and the seeding run in their own processes, as in
production.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agentidp.devtools.embedded_postgres import Cluster
from agentidp.devtools.postgres_binaries import find_binaries
from core import server_options

PROJECT = Path(__file__).resolve().parent.parent.parent
START_TIMEOUT_SECONDS = 120
PAGE = os.sysconf("SC_PAGESIZE")
OWNER = "owner-0@example.com"
OWNER_PASSWORD = "fifteen-canaries-sing-at-dawn"


@dataclass(frozen=True)
class OAuthClient:
    """An agent with one of its secrets."""

    organization_id: str
    client_id: str
    client_secret: str


@dataclass(frozen=True)
class Deployment:
    """A running deployment. It listens at `url`, which is also its issuer."""

    url: str
    cluster: Cluster
    clients: list[OAuthClient]
    log: Path
    server: "Server"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.url.rpartition(":")[2])


@contextlib.contextmanager
def deployed(
    *,
    durable: bool,
    agents: int,
    port: int = 0,
    settings: Mapping[str, str] | None = None,
    interface: str = "asgi",
    organizations: int = 2,
) -> Iterator[Deployment]:
    """A deployment with this many agents in each of its organizations, and these settings.

    `interface` is asgi or wsgi; with wsgi, streams end after the events so far.
    """
    with migrated_cluster(durable=durable) as cluster:
        url = f"http://localhost:{port or free_port()}"
        environment = os.environ | {
            "DATABASE_URL": cluster.url,
            "AGENTIDP_DATABASE_OWNER_URL": "",
            "AGENTIDP_ENVIRONMENT": "test",
            "AGENTIDP_ISSUER": url,
            "AGENTIDP_FILES_FOLDER": f"{cluster.root}/files",
            "PYTHONPATH": str(PROJECT),
            **(settings or {}),
        }
        owner = {"AGENTIDP_DATABASE_OWNER_URL": cluster.owner_url}
        clients = seed(environment | owner, agents, organizations)
        log = cluster.root / "server.log"
        with server(environment, url, log, interface) as started:
            yield Deployment(url, cluster, clients, log, started)


@contextlib.contextmanager
def migrated_cluster(*, durable: bool) -> Iterator[Cluster]:
    """PostgreSQL with a migrated, otherwise empty database, in a folder of its own."""
    with new_folder() as root:
        cluster = Cluster(Path(root), find_binaries(), durable=durable)
        subprocess.run(["cp", "--archive", migrated_data(), cluster.data], check=True)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def new_folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="agentidp-live-", ignore_cleanup_errors=True)
    Path(folder.name).chmod(0o711)  # PostgreSQL may run as another user
    return folder


@cache
def migrated_data() -> Path:
    """What `migrated_cluster` copies, because to migrate takes longer than most tests."""
    folder = new_folder()
    atexit.register(folder.cleanup)
    cluster = Cluster(Path(folder.name), find_binaries(), durable=True)  # so that it ends properly
    cluster.start()
    try:
        addresses = {
            "DATABASE_URL": cluster.url,
            "AGENTIDP_DATABASE_OWNER_URL": cluster.owner_url,
            "AGENTIDP_ENVIRONMENT": "test",
        }
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(command, env=os.environ | addresses, cwd=PROJECT, check=True)
    finally:
        cluster.stop()
    return cluster.data


def seed(environment: dict[str, str], agents: int, organizations: int = 2) -> list[OAuthClient]:
    command = [sys.executable, "-m", "tests.live.seed", str(agents), str(organizations)]
    done = subprocess.run(
        command, env=environment, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True
    )
    return [OAuthClient(**fields) for fields in json.loads(done.stdout.splitlines()[-1])]


class Server:
    """The product's server, started with the demo's options."""

    def __init__(
        self, environment: dict[str, str], url: str, log: Path, interface: str = "asgi"
    ) -> None:
        self.environment, self.url, self.log = environment, url, log
        self.interface = interface

    def start(self) -> None:
        options = {"asgi": server_options.ASGI, "wsgi": server_options.WSGI}[self.interface]
        command = [sys.executable, "-m", "granian", *options]
        command += ["--host", "127.0.0.1", "--port", self.url.rpartition(":")[2], "--workers", "1"]
        command += ["--log-level", "warning", "--workers-kill-timeout", "9"]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, f"agentidp.{self.interface}:application"],
                env=self.environment,
                cwd=PROJECT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not answers(self.url):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server as an operator would, and wait until it has exited."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def memory(self) -> int:
        """The memory of its processes in bytes."""
        return sum(
            int((Path("/proc") / str(process) / "statm").read_text().split()[1]) * PAGE
            for process in self.processes()
        )

    def processor_seconds(self) -> float:
        """The processor seconds that its processes have used."""
        stats = [Path(f"/proc/{each}/stat").read_text() for each in self.processes()]
        ticks = sum(sum(map(int, each.rpartition(")")[2].split()[11:13])) for each in stats)
        return ticks / os.sysconf("SC_CLK_TCK")

    def processes(self) -> list[int]:
        """The supervisor and its workers."""
        main = self.process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]


@contextlib.contextmanager
def server(
    environment: dict[str, str], url: str, log: Path, interface: str = "asgi"
) -> Iterator[Server]:
    """Run a server during the block."""
    started = Server(environment, url, log, interface)
    started.start()
    try:
        yield started
    finally:
        started.stop()


@contextlib.contextmanager
def running(
    command: Sequence[object], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run another process during the block; it must not exit by itself."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=environment,
            cwd=PROJECT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(30)


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the process accepts connections on the port."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not takes_connections(port):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def takes_connections(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/livez", timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
