"""The dashboard over HTTP: its growth, and the product against kodosumi 1.1.0 on one folder.

python -m benchmarks.executions [growth] [kodosumi]     one table, or both
python -m benchmarks.executions --small     hundreds of executions, without kodosumi: does it work?

kodosumi needs Python 3.12. Its panel reads the folder; AgentIdP has imported it.
"""

import argparse
import http.client
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks import product
from benchmarks.circumstances import Circumstances, measured
from benchmarks.kodosumi_folder import write_folder
from benchmarks.machine import (
    HERE,
    WORK,
    family_seconds,
    find_program,
    granian,
    new_cluster,
    one_of,
    postmaster,
    prefer,
    virtual_environment,
    web_server,
)

ASKED_EACH_ROUND = 15
"""How often our server is asked for each time that kodosumi is."""
EVER = "hours=999999"
ENDPOINTS = {
    "running agents, 24 h": "running-agents?hours=24",
    "running agents, all": f"running-agents?{EVER}",
    "errors, 24 h": "errors?hours=24",
    "errors, all": f"errors?{EVER}",
    "timeline, 24 h": "timeline?hours=24",
    "timeline, all": f"timeline?{EVER}",
    "agent stats": "agent-stats",
    "details of one": "execution/{fid}/details",
    "files of one": "execution/{fid}/files",
}
# Each has the same number of rows at every size, so that only what the server reads can grow.
PAGES = {
    "page of 50, 24 h": "running-agents?limit=50",
    "page of 50, all": f"running-agents?limit=50&{EVER}",
    "errors, 50 of all": f"errors?limit=50&{EVER}",
    "groups of errors, 30 days": "error-groups?hours=720",
    "timeline, 50 of 168 h": "timeline?limit=50&hours=168",
    "timeline, 50 of all": f"timeline?limit=50&{EVER}",
    "statistics, all": "agent-stats",
    "statistics, 30 days": "agent-stats?hours=720",
}
TABLES = ("growth", "kodosumi")
GROWTH_ROUNDS = 3
"""How often growth is measured for each round; it takes seconds."""
TARGET = 1.3
"""The growth that is allowed between the sizes."""


@dataclass
class Taken:
    """Response times in milliseconds, and processor time of server and database per response.

    Other programs on the machine distort processor time much less than response times.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.wall)

    @property
    def cpu_median(self) -> float:
        return statistics.median(self.cpu)

    def __str__(self) -> str:
        return f"{self.median:,.1f} [{min(self.wall):,.1f}-{max(self.wall):,.1f}]"


@dataclass
class Caller:
    """Calls one server over one connection. `processes` are those of the server and its
    database.
    """

    port: int
    headers: dict[str, str]
    processes: list[int]
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def connect(self) -> None:
        """Reconnect: servers close connections that were idle while the other one was called."""
        self.connection.close()
        self.connection.connect()

    def ask(self, path: str) -> tuple[Any, float]:
        """The response, and how many milliseconds it took."""
        started = time.perf_counter()
        self.connection.request("GET", f"/api/dashboard/{path}", headers=self.headers)
        response = self.connection.getresponse()
        body = response.read()
        taken = (time.perf_counter() - started) * 1000
        if response.status != 200:
            sys.exit(f"{path}: {response.status} {body[:500]!r}")
        return json.loads(body), taken

    def measure(self, path: str, times: int, into: Taken) -> None:
        self.connect()
        before = family_seconds(self.processes)
        into.wall.extend(self.ask(path)[1] for _ in range(times))
        into.cpu.append((family_seconds(self.processes) - before) * 1000 / times)


def our_caller(membership: Any, processes: list[int], port: int) -> Caller:
    """A caller with a new token, because a person's expires soon."""
    from tokens.tests.factories import access_token_for

    return Caller(
        port,
        {
            "Authorization": f"Bearer {access_token_for(membership)}",
            "Host": product.HOST,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "192.0.2.1",
        },
        processes,
    )


def import_executions(folder: Path, number: int) -> Any:
    """Import the folder into a new organization; return its operator's membership."""
    from django.core.management import call_command

    from organizations.models import Membership, Organization, User

    organization = Organization.objects.create(name=f"{number} executions", slug=f"of-{number}")
    call_command("import_kodosumi", folder, organization=organization.slug, verbosity=0)
    user = User.objects.create(email=f"operator-{number}@example.com")
    return Membership.objects.create(organization=organization, user=user, role="operator")


@contextmanager
def kodosumi(folder: Path, interpreter: str, port: int) -> Iterator[Caller]:
    """Run kodosumi's panel under uvicorn; yield a caller signed in as its operator."""
    requirements = HERE / "peers" / "kodosumi-requirements.txt"
    python = virtual_environment("kodosumi-panel", requirements, interpreter)
    work = WORK / "kodosumi-work"
    work.mkdir(parents=True, exist_ok=True)
    environment = {
        "PYTHONPATH": str(HERE / "peers"),
        "KODO_EXEC_DIR": str(folder / "execution"),
        "KODO_ADMIN_DATABASE": f"sqlite+aiosqlite:///{folder / 'admin.db'}",
        "KODO_APP_STD_LEVEL": "ERROR",
    }
    command = [python, "-m", "uvicorn", "kodosumi_application:create_app", "--factory"]
    command += ["--port", port, "--log-level", "error"]
    server = web_server(command, port=port, environment=environment, folder=work)
    with server as process:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        form = urlencode({"name": "admin", "password": "admin"})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", form, kind)
        key = json.loads(connection.getresponse().read())["KODOSUMI_API_KEY"]
        yield Caller(port, {"KODOSUMI_API_KEY": key}, [process])


def check_equal(name: str, ours: Any, theirs: Any) -> None:
    """Check that both return the same counts and, up to our longest page, the same executions.

    Of the last hours, ours also lists executions that started earlier and are live or ended since.
    """
    has_more = name == "running agents, 24 h"
    for key in ("total", "total_executions", "error_rate", "by_user", "total_events", "fid"):
        if key in theirs and ours[key] != theirs[key] and not (has_more and key == "total"):
            sys.exit(f"{name}: {key} differs: {ours[key]} {theirs[key]}")
    for key in ("agents", "errors", "executions"):
        if key in theirs:
            expected = [row["fid"] for row in theirs[key]]
            shown = [row["fid"] for row in ours[key]]
            if has_more:
                shown = [fid for fid in shown if fid in set(expected)]
            if shown != expected[: len(shown)] or (has_more and shown != expected):
                sys.exit(f"{name}: {key} differ")


def against_kodosumi(
    membership: Any, processes: list[int], folder: Path, options: argparse.Namespace
) -> tuple[dict[str, tuple[Taken, Taken]], float]:
    """Our times and kodosumi's for each endpoint, alternating in every round, and the share of the
    machine that other programs took.
    """
    interpreter = options.python or find_program("python3.12")
    if not interpreter:
        sys.exit("kodosumi needs Python 3.12: name it with --python.")
    times = {name: (Taken(), Taken()) for name in ENDPOINTS}
    with kodosumi(folder, interpreter, options.port + 1) as theirs:
        if options.first:
            prefer(theirs.processes)
        circumstances = Circumstances([*processes, *theirs.processes])
        for number in range(options.rounds):
            ours = our_caller(membership, processes, options.port)
            fid = ours.ask("running-agents?limit=1&hours=999999")[0]["agents"][0]["fid"]
            for name, address in ENDPOINTS.items():
                path = address.format(fid=fid)
                if not number:
                    ours.connect()
                    theirs.connect()
                    check_equal(name, ours.ask(path)[0], theirs.ask(path)[0])
                ours.measure(path, ASKED_EACH_ROUND, times[name][0])
                theirs.measure(path, 1, times[name][1])
                print(f"round {number + 1}  {name:<22} {times[name][1].wall[-1]:,.0f}", flush=True)
        return times, circumstances.other_load


def growth(
    memberships: dict[int, Any], processes: list[int], rounds: int, port: int
) -> dict[str, dict[int, Taken]]:
    """The times of our pages for each number of executions, alternating."""
    callers = {number: our_caller(each, processes, port) for number, each in memberships.items()}
    times = {name: {number: Taken() for number in callers} for name in PAGES}
    for _ in range(rounds):
        for name, path in PAGES.items():
            for number, caller in callers.items():
                caller.measure(path, ASKED_EACH_ROUND, times[name][number])
    return times


def print_ratios(times: dict[str, tuple[Taken, Taken]], number: int) -> None:
    print(
        f"\n| {number:,} executions | kodosumi ms [min-max] | product ms [min-max] | times "
        "| processor ms: kodosumi | product | times |\n|---|---|---|---|---|---|---|"
    )
    for name, (ours, theirs) in times.items():
        print(
            f"| {name} | {theirs} | {ours} | {theirs.median / ours.median:,.0f} "
            f"| {theirs.cpu_median:,.0f} | {ours.cpu_median:.1f} "
            f"| {theirs.cpu_median / ours.cpu_median:,.0f} |"
        )


def print_growth(times: dict[str, dict[int, Taken]]) -> None:
    numbers = list(next(iter(times.values())))
    heads = "".join(f" {number:,}: ms, processor ms |" for number in numbers)
    print(f"\n| executions |{heads} growth | |")
    print("|---" * (len(numbers) + 3) + "|")
    for name, taken in times.items():
        cells = [f"{taken[n].median:.1f}, {taken[n].cpu_median:.1f}" for n in numbers]
        first, last = taken[numbers[0]], taken[numbers[-1]]
        grown = last.median / first.median, last.cpu_median / first.cpu_median
        verdict = "" if min(grown) <= TARGET else f"above {TARGET}"
        print(f"| {name} | {' | '.join(cells)} | {grown[0]:.2f}, {grown[1]:.2f} | {verdict} |")


def vacuum() -> None:
    """Vacuum, as autovacuum would within a minute."""
    from django.db import connection

    from core.database_roles import as_owner

    with as_owner(connection), connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def timed(what: str, work: Callable[[], Any]) -> Any:
    started = time.monotonic()
    done = work()
    print(f"{what}: {time.monotonic() - started:.0f} s", flush=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", type=one_of(TABLES), help=" or ".join(TABLES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument(
        "--first", action="store_true", help="while measuring, before all others on the machine"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 50_000], help="of growth")
    parser.add_argument("--compared", type=int, default=5000, help="the size against kodosumi")
    parser.add_argument("--python", help="an interpreter for kodosumi, if not python3.12")
    parser.add_argument("--port", type=int, default=8481, help="ours; kodosumi's is the next")
    options = parser.parse_args()
    tables = options.tables or (["growth"] if options.small else TABLES)
    if options.small:
        options.sizes, options.compared, options.rounds = [100, 300], 100, 1
    sizes = options.sizes if "growth" in tables else []
    others = [options.compared] if "kodosumi" in tables else []
    folders = WORK / f"kodosumi-folders-{options.port}"
    with new_cluster(f"executions-{options.port}", durable=not options.small) as cluster:
        shutil.rmtree(folders, ignore_errors=True)
        environment = product.set_up(cluster)
        memberships = {number: fill(folders, number) for number in dict.fromkeys(sizes + others)}
        vacuum()
        server = granian(
            "agentidp.wsgi:unguarded_application",
            port=options.port,
            environment=environment,
            workers=1,
        )
        with server as process:
            processes = [process, postmaster(cluster)]
            if options.first:
                prefer(processes)
            if sizes:
                asked = {number: memberships[number] for number in sizes}
                growth(asked, processes, 1, options.port)  # a warm-up
                rounds = GROWTH_ROUNDS * options.rounds
                circumstances = Circumstances(processes)
                print_growth(growth(asked, processes, rounds, options.port))
                print(measured(rounds, [circumstances.other_load]), flush=True)
            for number in others:
                folder = folders / str(number)
                times, load = against_kodosumi(memberships[number], processes, folder, options)
                print_ratios(times, number)
                print(measured(options.rounds, [load]), flush=True)
    shutil.rmtree(folders)


def fill(folders: Path, number: int) -> Any:
    """Write that many executions and import them; return their operator's membership."""
    folder = folders / str(number)
    timed(f"writing {number:,}", lambda: write_folder(folder, number, time.time()))
    return timed(f"importing {number:,}", lambda: import_executions(folder, number))


if __name__ == "__main__":
    main()
