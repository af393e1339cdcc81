"""Shared by the benchmarks: a PostgreSQL, web servers, the load generator, and measures of
noise.
"""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agentidp.devtools.embedded_postgres import Cluster
from agentidp.devtools.postgres_binaries import find_binaries

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
WORK = PROJECT / ".data" / "benchmarks"
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def new_cluster(
    name: str, settings: Sequence[str] = (), *, durable: bool = True
) -> Iterator[Cluster]:
    """A temporary PostgreSQL; if durable, every commit survives a power failure."""
    root = WORK / name
    WORK.mkdir(parents=True, exist_ok=True)
    in_use = (WORK / f"{name}.lock").open("w")
    try:
        fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # The code below would stop its server and remove its data.
        sys.exit(f"Another benchmark uses {root}.")
    cluster = Cluster(root, find_binaries(), durable=durable)
    cluster.stop()
    shutil.rmtree(root, ignore_errors=True)
    cluster.start()
    try:
        cluster.stop()
        cluster.execute_offline("\n".join(f"ALTER SYSTEM SET {setting};" for setting in settings))
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(root, ignore_errors=True)
        in_use.close()


@contextmanager
def granian(
    target: str,
    *,
    port: int,
    environment: dict[str, str],
    python: Path = Path(sys.executable),
    folder: Path = PROJECT,
    workers: int = 2,
    threads: int = 4,
    interface: str = "wsgi",
) -> Iterator[int]:
    """A newly started web server; yields its process id. `threads` are those of WSGI."""
    command = [python, "-m", "granian", "--interface", interface, "--no-ws", "--port", port]
    command += ["--workers", workers]
    command += ["--blocking-threads", threads] if interface == "wsgi" else []
    command += ["--log-level", "warning", "--workers-kill-timeout", "3", target]
    with web_server(command, port=port, environment=environment, folder=folder) as process:
        yield process


@contextmanager
def web_server(
    command: Sequence[object], *, port: int, environment: dict[str, str], folder: Path
) -> Iterator[int]:
    """Run a server until the end of the block; yields its process id once it listens on the
    port.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / f"server-{port}.log").open("wb") as log:
        server = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(port, server)
        yield server.pid
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"The server did not start: {(WORK / f'server-{port}.log').read_text()[-2000:]}")


@dataclass(frozen=True)
class Load:
    """A run of wrk: responses a second, milliseconds, and the load of the rest of the machine.

    `cpu_ms` is the processor time of server and PostgreSQL per response, which other programs on
    the machine distort less than the rate.
    """

    requests: int
    failed: int
    per_second: float
    p50: float
    p99: float
    cpu_ms: float
    background: float


def wrk(
    url: str,
    clients: Path,
    *,
    seconds: float,
    host: str,
    ours: Sequence[int],
    connections: int = 32,
    is_checked: bool = False,
) -> Load:
    """Load from connections that rotate through the clients. `ours` are the servers' processes.

    If checked, every response must contain a JWT.
    """
    before = family_seconds(ours), own_seconds(), *machine_seconds()
    done = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"),
            *("-s", HERE / "rotate.lua", url),
        ],
        env=os.environ
        | {"CLIENTS": str(clients), "HOST_NAME": host, "EXPECT_JWT": "1" if is_checked else ""},
        capture_output=True,
        text=True,
        check=True,
    )
    after = family_seconds(ours), own_seconds(), *machine_seconds()
    servers, own, busy, everything = (b - a for a, b in zip(before, after, strict=True))
    answer = json.loads(done.stdout.splitlines()[-1])
    return Load(
        requests=answer["requests"],
        failed=answer["failed"],
        per_second=answer["requests"] / answer["microseconds"] * 1e6,
        p50=answer["p50"] / 1000,
        p99=answer["p99"] / 1000,
        cpu_ms=servers / max(1, answer["requests"]) * 1000,
        background=max(0.0, (busy - servers - own) / everything),
    )


def wait_for_quiet(share: float = 0.2, patience: float = 4) -> None:
    """Wait, with a limit, until the rest of the machine is less busy than `share`."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        before = machine_seconds()
        time.sleep(1)
        busy, total = (after - old for after, old in zip(machine_seconds(), before, strict=True))
        if busy / total < share:
            return


def wait_until_loaded(roots: Sequence[int], patience: float = 60) -> None:
    """Wait, with a limit, until these processes and their children have stopped working.

    A server listens as soon as its first worker does; the others may still be loading.
    """
    until, calm = time.monotonic() + patience, 0
    while calm < 2 and time.monotonic() < until:
        before = family_seconds(roots)
        time.sleep(0.5)
        calm = calm + 1 if family_seconds(roots) - before < 0.03 else 0


def machine_seconds() -> tuple[float, float]:
    """Busy seconds and total seconds of all processors since the start."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS, sum(ticks) / TICKS


def prefer(roots: Sequence[int], niceness: int = -10) -> None:
    """Give these processes, their children and this one priority, where Linux allows it.

    Linux first divides the processor between sessions (autogroups), so nice alone has no effect.
    """
    for process in {*family(roots), os.getpid()}:
        with suppress(OSError):
            Path(f"/proc/{process}/autogroup").write_text(str(niceness))


def family(roots: Sequence[int]) -> dict[int, float]:
    """The processor seconds used by each of these processes and their children."""
    used, children = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            used[int(entry.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    family, waiting = {}, list(roots)
    while waiting:
        process = waiting.pop()
        family[process] = used.get(process, 0.0)
        waiting += children.get(process, [])
    return family


def family_seconds(roots: Sequence[int]) -> float:
    """The processor seconds of these processes and their children."""
    return sum(family(roots).values())


def own_seconds() -> float:
    """The processor seconds of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def postmaster(cluster: Cluster) -> int:
    """The process id of the cluster's server."""
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


def virtual_environment(
    name: str,
    requirements: Path,
    interpreter: str = sys.executable,
    constraints: Path | None = None,
) -> Path:
    """The interpreter of a peer's own virtual environment, created on first use."""
    folder = WORK / name
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([interpreter, "-m", "venv", "--clear", folder], check=True)
        install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        install += ["-c", str(constraints)] if constraints else []
        subprocess.run([python, *install, "-r", requirements], check=True)
        (folder / "complete").touch()
    return python


def find_program(name: str) -> str | None:
    """The program from PATH, or a Python of pyenv; None if there is none that runs."""
    version = name.removeprefix("python")
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in (shutil.which(name), *map(str, installed if version != name else ())):
        # A shim of pyenv is there for all versions, and fails for those that are not chosen.
        if path and (name == "wrk" or not _fails(path)):
            return path
    return None


def _fails(program: str) -> bool:
    return bool(subprocess.run([program, "--version"], check=False, capture_output=True).returncode)


def node() -> list[str]:
    """Node.js from PATH."""
    found = find_program("node")
    if not found:
        sys.exit("Node.js is not installed.")
    return [found]


def node_modules(name: str, sources: Path) -> Path:
    """A copy of the folder of a peer on Node.js, with its exact packages, installed on first
    use.
    """
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "package-lock.json"
    wanted = (sources / lock.name).read_bytes()
    is_installed = lock.exists() and lock.read_bytes() == wanted and (folder / "complete").exists()
    shutil.copytree(sources, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_*"))
    if not is_installed:
        (folder / "complete").unlink(missing_ok=True)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        subprocess.run(["npm", "ci", *quiet], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (folder / "complete").touch()
    return folder


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """An argparse type for optional arguments, for which argparse does not support `choices`."""

    def chosen(name: str) -> str:
        if name not in names:
            raise ArgumentTypeError(f"{name} is none of {', '.join(names)}")
        return name

    return chosen
