"""The token endpoints that `token_endpoint.py` compares: the product, an earlier one, and peers."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from agentidp.devtools.embedded_postgres import Cluster
from benchmarks import product
from benchmarks.earlier import checked_out
from benchmarks.machine import (
    HERE,
    WORK,
    Load,
    granian,
    new_cluster,
    node,
    node_modules,
    virtual_environment,
    web_server,
)

POSTGRES = ("shared_buffers = '1GB'", "max_wal_size = '8GB'")
OUR_KEYS = "/.well-known/jwks.json"
DEPLOYED = 16
"""Threads of a process, as in deploy/."""
DEPLOYED_BEFORE = 8
"""The same in the deployment page of that time."""


@dataclass
class Contender:
    """A server in one configuration, and its measurements."""

    name: str
    clients: str
    target: str = "agentidp.wsgi:unguarded_application"
    command: list[object] = field(default_factory=list)
    """Another server than granian; it finds its port in the environment."""
    path: str = "/api/v1/token"
    keys: str | None = OUR_KEYS
    """The path of its JWKS, or None if its tokens are not JWTs."""
    algorithm: str = "ES256"
    python: Path = Path(sys.executable)
    folder: Path = HERE.parent
    environment: dict[str, str] = field(default_factory=dict)
    around: Callable[[], Any] = nullcontext
    count_rows: Callable[[], int] | None = None
    threads: int = 4
    slowness: int = 1
    is_without_database: bool = False
    """Whether PostgreSQL is stopped while it is measured."""
    cluster: Cluster | None = None
    """The server's own PostgreSQL, if it has one."""
    loads: list[Load] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return statistics.median(load.per_second for load in self.loads)

    def running(self, port: int) -> AbstractContextManager[int]:
        """Run a new server; the context is its process id."""
        if self.command:
            environment = self.environment | {"PORT": str(port)}
            return web_server(self.command, port=port, environment=environment, folder=self.folder)
        return granian(
            self.target,
            port=port,
            environment=self.environment,
            python=self.python,
            folder=self.folder,
            threads=self.threads,
        )


def products(environment: dict[str, str]) -> list[Contender]:
    """The product as it is, and variants that show the cost of its parts."""
    build = partial(
        Contender, environment=environment, count_rows=product.count_events, threads=DEPLOYED
    )
    signing = partial(product.signing_with, "RS256")
    return [
        build("product", "spread"),
        build("product, 4 threads", "spread", threads=4),
        build("product, 8 threads", "spread", threads=8),
        build("product, 32 threads", "spread", threads=32),
        build("product, RS256", "spread", around=signing, algorithm="RS256"),
        build("product, one organization", "hot"),
        build("product, not durable", "spread", around=product.without_waiting_for_the_disk),
        Contender(
            "product, no database",
            "spread",
            "benchmarks.ceiling:application",
            environment=environment,
            threads=DEPLOYED,
            is_without_database=True,
        ),
    ]


def django_oauth_toolkit(cluster: Cluster) -> list[Contender]:
    """django-oauth-toolkit in its own environment and database on the same cluster."""
    folder = HERE / "peers"
    python = virtual_environment("django-oauth-toolkit", folder / "requirements.txt")
    with psycopg.connect(cluster.owner_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE dot")
    shared = {"DOT_DATABASE_HOST": str(cluster.sockets), "DJANGO_SETTINGS_MODULE": "dot_settings"}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [python, "dot_clients.py", *arguments],
            cwd=folder,
            env=os.environ | shared | {"DOT_BEST": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    run("fill", str(WORK))
    build = partial(
        Contender,
        target="dot_application:application",
        path="/token",
        keys=None,
        python=python,
        folder=folder,
        count_rows=lambda: int(run("count")),
    )
    return [
        build("DOT default", "dot_default", environment=shared | {"DOT_BEST": "0"}, slowness=4),
        build("DOT best", "dot_best", environment=shared | {"DOT_BEST": "1"}),
        build("DOT best, 8 threads", "dot_best", environment=shared | {"DOT_BEST": "1"}, threads=8),
    ]


def oidc_provider() -> list[Contender]:
    """oidc-provider on Node.js, in one process, with our clients in its memory."""
    folder = node_modules("oidc-provider", HERE / "peers" / "oidc-provider")
    version = subprocess.run([*node(), "--version"], capture_output=True, text=True, check=True)
    print(f"oidc-provider on Node.js {version.stdout.strip()}", flush=True)
    return [
        Contender(
            f"oidc-provider {algorithm}",
            "spread",
            command=[*node(), "server.js"],
            path="/token",
            keys="/jwks",
            algorithm=algorithm,
            folder=folder,
            environment={
                "ALGORITHM": algorithm,
                "CLIENTS": str(WORK / "spread"),
                "ISSUER": f"https://{product.HOST}",
                "NODE_ENV": "production",
            },
        )
        for algorithm in ("ES256", "RS256")
    ]


SET_UP = """
import json, sys
from types import SimpleNamespace
from benchmarks import product
environment = product.set_up(SimpleNamespace(**json.load(sys.stdin)))
product.make_clients()
print(json.dumps(environment))
"""


@contextmanager
def before(commit: str) -> Iterator[Contender]:
    """The product at an earlier commit, with that commit's code and benchmark clients and its
    own PostgreSQL.
    """
    with (
        checked_out(commit) as (folder, python),
        new_cluster("token-endpoint-before", POSTGRES) as cluster,
    ):
        settings = {
            "url": cluster.url,
            "owner_url": cluster.owner_url,
            "sockets": str(cluster.sockets),
        }
        work = folder / WORK.relative_to(HERE.parent)
        work.mkdir(parents=True)
        if "owner_url" not in (folder / "benchmarks/product.py").read_text():
            # Before the roles were divided, the application's role made its tables itself.
            with psycopg.connect(cluster.owner_url, autocommit=True) as connection:
                connection.execute("GRANT CREATE ON SCHEMA public TO agentidp_app")
        has_guard = "unguarded_application" in (folder / "agentidp/wsgi.py").read_text()
        done = subprocess.run(
            [python, "-c", SET_UP],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            input=json.dumps(settings),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        environment = json.loads(done.stdout.splitlines()[-1])
        yield Contender(
            "before",
            str(work / "spread"),
            target=f"agentidp.wsgi:{'unguarded_' if has_guard else ''}application",
            threads=DEPLOYED_BEFORE,
            python=python,
            folder=folder,
            environment=environment | {"PYTHONPATH": str(folder)},
            cluster=cluster,
        )
