import contextlib
import ipaddress
import itertools
import json
import os
import signal
import sys
import time
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from core.database_roles import as_owner
from core.role_checks import missing
from demo import jobs, seed, server

# Emails are written to the log: nothing leaves the machine.
MAIL = {"AGENTIDP_EMAIL_URL": "consolemail://", "AGENTIDP_EMAIL_FROM": "agentidp@localhost"}
WELCOME = """
AgentIdP runs at  {base}
Log in as         admin, password admin

As an agent, from another terminal:

  TOKEN=$(curl -s {base}/api/v1/token -d grant_type=client_credentials \\
    -u {client.client_id}:{client.client_secret} \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')

  curl -s -w '\\n' "{base}/api/v1/analytics/tokens?days=30" -H "Authorization: Bearer $TOKEN"
  curl -s -w '\\n' "{base}/api/v1/analytics/agents/activity" -H "Authorization: Bearer $TOKEN"
  curl -s -w '\\n' "{base}/api/v1/analytics/agents" -H "Authorization: Bearer $TOKEN"
  curl -s -w '\\n' "{base}/api/v1/executions" -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" -d '{{"summary": "Hello"}}'

The log is in {log}, mails included. Ctrl-C stops everything; the data stays in {data}.
"""


class Command(BaseCommand):
    help = "Run AgentIdP on this machine with demonstration data."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=3000)
        parser.add_argument(
            "--host", default="127.0.0.1", help="an IPv4 loopback address to listen on"
        )
        parser.add_argument(
            "--once", action="store_true", help="check the demo over HTTP, then exit"
        )

    def handle(self, *, host: str, port: int, once: bool, **options: Any) -> None:
        if not settings.IS_DEMO:
            raise CommandError("Start the demo as: python manage.py demo")
        require_loopback(host)
        server.require_free_port(host, port)
        require_own_database()
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
        started = time.monotonic()
        try:
            self.say("Preparing the database ...")
            call_command("migrate", verbosity=0)
            self.say("Making demonstration data ...")
            answer = call_command("seed_demo", stdout=StringIO(), stderr=StringIO())
            client = server.Client(**json.loads(answer))
            jobs.begin()
            self.say("Starting the server ...")
            log = settings.DATA_DIR / "demo.log"
            log.write_bytes(b"")
            for name, value in MAIL.items():
                os.environ.setdefault(name, value)
            with server.Worker(log, port) as worker, server.server(host, port, log) as process:
                base = f"http://localhost:{port}"
                self.say(
                    WELCOME.format(
                        base=base,
                        client=client,
                        data=settings.DATA_DIR.name,
                        log=f"{settings.DATA_DIR.name}/{log.name}",
                    )
                )
                self.say(f"Ready after {time.monotonic() - started:.1f} s.")
                if once:
                    self.check_over_http(f"http://{host}:{port}", client)
                elif server.watch(process, worker):
                    raise CommandError(f"The server ended by itself. See {log}.")
        except KeyboardInterrupt:
            self.say("\nStopped.")

    def check_over_http(self, base: str, client: server.Client) -> None:
        results = []
        for what, worked in itertools.chain(
            server.check(base, client), server.check_executions(base, client)
        ):
            self.say(f"  {'ok    ' if worked else 'FAILED'}  {what}")
            results.append((what, worked))
        if not all(worked for _, worked in results):
            raise CommandError("The demo does not work as it should.")
        self.say("The demo works.")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def require_own_database() -> None:
    """Check the database before the migrations, which would change somebody else's tables.

    Runs as the tables' owner where an earlier release left tables that the application's role may
    not read yet.
    """
    with connection.cursor() as cursor:
        is_readable = not missing(cursor)
    try:
        with contextlib.nullcontext() if is_readable else as_owner(connection):
            seed.require_own_database()
    except seed.ForeignDatabase as error:
        raise CommandError(str(error)) from None


def require_loopback(host: str) -> None:
    """Refuse other hosts: the demonstration's password is public, so only this machine may reach
    it.
    """
    try:
        is_loopback = ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise CommandError(
            f"The demo lets in everybody who knows admin/admin, so it does not listen on {host}, "
            "but on this machine alone: --host=127.0.0.1"
        )
