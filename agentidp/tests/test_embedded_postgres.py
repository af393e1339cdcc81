"""The embedded PostgreSQL, with real servers that are started and killed."""

import multiprocessing
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from agentidp.devtools import embedded_postgres, postgres_binaries
from agentidp.devtools.embedded_postgres import Cluster
from agentidp.devtools.postgres_binaries import EmbeddedPostgresError, find_binaries
from agentidp.tests.conftest import NewFolder
from agentidp.tests.waiting import until

PROJECT = Path(embedded_postgres.__file__).parents[2]
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def empty(new_folder: NewFolder) -> Iterator[Path]:
    path = new_folder()
    yield path
    Cluster(path, find_binaries()).stop()


@pytest.fixture(scope="module")
def made(new_folder: NewFolder) -> Path:
    """A cluster to copy, which is faster than creating each one."""
    path = new_folder()
    cluster = Cluster(path, find_binaries())
    cluster.start()
    cluster.stop()
    return path


@pytest.fixture
def root(made: Path, empty: Path) -> Path:
    """A folder with a stopped cluster."""
    subprocess.run(["cp", "-a", f"{made}/.", empty], check=True)
    return empty


def answer(cluster: Cluster, sql: str) -> object:
    with psycopg.connect(cluster.url) as connection:
        return connection.execute(sql).fetchone()[0]


def server_process(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().splitlines()[0])


def kill_server(cluster: Cluster) -> None:
    process = server_process(cluster)
    os.kill(process, signal.SIGKILL)
    assert until(lambda: not Path(f"/proc/{process}").exists())


def test_the_role_of_the_application_is_bound_by_row_level_security(root):
    cluster = Cluster(root, find_binaries())

    cluster.start()

    privileges = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
    role = f"FROM pg_roles WHERE rolname = current_user AND NOT ({privileges})"
    assert answer(cluster, f"SELECT rolname {role}") == "agentidp_app"
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'agentidp'"
    assert answer(cluster, owner) == "agentidp_owner"


def test_a_cluster_of_an_earlier_release_gets_an_owner_and_keeps_its_rows(root, monkeypatch):
    """An earlier release had one role, which owned everything."""
    cluster = Cluster(root, find_binaries())
    cluster.start()
    with psycopg.connect(cluster.owner_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    cluster.stop()
    cluster._single_user(
        cluster.data,
        "ALTER TABLE kept OWNER TO agentidp_app;\n"
        "REASSIGN OWNED BY agentidp_owner TO agentidp_app;\n"
        "DROP OWNED BY agentidp_owner;\nDROP ROLE agentidp_owner;\n"
        "ALTER ROLE agentidp_app CREATEDB;\n",
        database="agentidp",
    )
    (cluster.data / "pg_hba.conf").write_text("local all agentidp_app trust\n")
    # As the earlier release would have started it.
    monkeypatch.setattr(Cluster, "_separate_roles", lambda cluster: None)
    cluster.start()
    monkeypatch.undo()
    with pytest.raises(EmbeddedPostgresError, match="was started by an earlier release"):
        cluster.start()
    cluster.stop()

    for _ in range(2):
        cluster.start()

        with psycopg.connect(cluster.owner_url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
        assert (
            answer(
                cluster,
                "SELECT relowner::regrole || ' ' || rolcreatedb FROM pg_class, pg_roles "
                "WHERE relname = 'kept' AND rolname = current_user",
            )
            == "agentidp_owner false"
        )
        cluster.stop()


def test_the_superuser_cannot_log_in(root):
    cluster = Cluster(root, find_binaries())
    cluster.start()

    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf"):
        psycopg.connect(cluster.url.replace("agentidp_app@", "postgres@"))


def test_rows_survive_a_restart(root):
    cluster = Cluster(root, find_binaries())
    cluster.start()
    with psycopg.connect(cluster.owner_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        connection.execute("GRANT SELECT ON kept TO agentidp_app")

    cluster.stop()
    cluster.start()

    assert answer(cluster, "SELECT number FROM kept") == 42


def test_rows_survive_a_killed_server(root):
    cluster = Cluster(root, find_binaries())
    cluster.start()
    with psycopg.connect(cluster.owner_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        connection.execute("GRANT SELECT ON kept TO agentidp_app")

    kill_server(cluster)
    Cluster(root, find_binaries()).start()

    assert answer(cluster, "SELECT number FROM kept") == 42


def test_a_stale_lock_naming_another_living_process_does_not_block_the_start(root):
    cluster = Cluster(root, find_binaries())
    cluster.start()
    lock = cluster.data / "postmaster.pid"
    socket_lock = cluster.sockets / ".s.PGSQL.5432.lock"
    left_behind = lock.read_text(), socket_lock.read_text()
    cluster.stop()
    owner = cluster.data.stat()
    other = subprocess.Popen(["sleep", "60"], user=owner.st_uid, group=owner.st_gid)
    for path, text in zip((lock, socket_lock), left_behind, strict=True):
        path.write_text("\n".join([str(other.pid), *text.splitlines()[1:]]) + "\n")
        path.chmod(0o644)

    try:
        cluster.start()
    finally:
        other.kill()
        other.wait()

    assert answer(cluster, "SELECT 1") == 1


def test_an_interrupted_creation_leaves_no_half_made_data(empty):
    cluster = Cluster(empty, find_binaries())
    unfinished = empty / f"pg{cluster.version}.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text(f"{cluster.version}\n")

    cluster.start()

    assert answer(cluster, "SELECT 1") == 1
    assert not unfinished.exists()


def test_a_second_start_finds_the_server_running(root):
    cluster = Cluster(root, find_binaries())
    cluster.start()
    process = server_process(cluster)

    Cluster(root, find_binaries()).start()

    assert server_process(cluster) == process


@pytest.mark.parametrize("name", ["a-long-folder-name-" * 5, "one,two", "it's"])
def test_a_path_that_no_socket_can_have_gets_a_private_short_one(empty, name):
    cluster = Cluster(empty / name, find_binaries())

    try:
        cluster.start()

        assert len(str(cluster.sockets)) < embedded_postgres.MAX_SOCKET_FOLDER_LENGTH
        assert cluster.sockets.stat().st_mode & 0o777 == 0o700
        assert answer(cluster, "SELECT 1") == 1
    finally:
        cluster.stop()
    assert not cluster.sockets.exists()


@pytest.mark.root
def test_a_socket_folder_planted_by_somebody_else_is_refused(empty):
    cluster = Cluster(empty, find_binaries())
    cluster.sockets.mkdir()
    os.chown(cluster.sockets, 12345, 12345)

    with pytest.raises(EmbeddedPostgresError, match="belongs to another user"):
        cluster.start()


def test_only_the_owner_can_enter_the_socket_folder(root):
    cluster = Cluster(root, find_binaries())

    cluster.start()

    assert cluster.sockets.stat().st_mode & 0o777 == 0o700
    assert answer(cluster, "SHOW listen_addresses") == ""


def test_data_of_another_major_version_is_left_alone(root):
    cluster = Cluster(root, find_binaries())
    cluster.start()
    cluster.stop()
    (cluster.data / "PG_VERSION").write_text("14\n")

    with pytest.raises(EmbeddedPostgresError) as refusal:
        cluster.start()

    assert "version 14" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_server_that_does_not_start_says_why_in_one_line(root):
    cluster = Cluster(root, find_binaries())
    cluster.start()
    cluster.stop()
    (cluster.data / "postgresql.auto.conf").write_text("shared_buffers = nonsense\n")

    with pytest.raises(EmbeddedPostgresError) as refusal:
        cluster.start()

    assert "shared_buffers" in str(refusal.value) or "configuration" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("durable", "setting"), [(True, "on"), (False, "off")])
def test_only_a_throw_away_cluster_gives_up_safe_writes(root, durable, setting):
    cluster = Cluster(root, find_binaries(), durable=durable)

    cluster.start()

    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert answer(cluster, f"SHOW {name}") == setting


def test_the_last_process_to_leave_stops_the_server(root):
    cluster = Cluster(root, find_binaries())
    program = (
        "import sys; from pathlib import Path; from agentidp.devtools import embedded_postgres\n"
        "with embedded_postgres.running(Path(sys.argv[1])):\n"
        "    print('running', flush=True); sys.stdin.read()"
    )
    users = [
        subprocess.Popen(
            [sys.executable, "-c", program, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
        )
        for _ in range(2)
    ]
    for user in users:
        assert user.stdout.readline() == b"running\n"

    users[0].communicate()
    running_after_the_first = cluster.is_running()
    users[1].send_signal(signal.SIGTERM)
    users[1].communicate()

    assert running_after_the_first
    assert users[1].returncode == 128 + signal.SIGTERM
    assert not cluster.is_running()


def test_with_a_database_address_nothing_is_started(tmp_path):
    """manage.py uses the configured database, even one that does not exist."""
    done = subprocess.run(
        [sys.executable, PROJECT / "manage.py", "migrate", "--plan"],
        env=os.environ
        | {
            "DATABASE_URL": f"postgres://nobody@/nothing?host={tmp_path}",
            "AGENTIDP_DATABASE_OWNER_URL": "",
            "AGENTIDP_PG_BIN": str(tmp_path),
            "AGENTIDP_ENVIRONMENT": "test",
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert str(tmp_path / ".s.PGSQL") in done.stderr
    assert "AGENTIDP_PG_BIN" not in done.stderr


def test_without_binaries_the_error_names_three_ways_out(tmp_path):
    with pytest.raises(EmbeddedPostgresError) as refusal:
        postgres_binaries.first_usable([tmp_path])

    for way in ("requirements-demo.txt", "package manager", "DATABASE_URL"):
        assert way in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_binaries_that_were_asked_for_are_never_replaced_by_others(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTIDP_PG_BIN", str(tmp_path))

    with pytest.raises(EmbeddedPostgresError, match="AGENTIDP_PG_BIN"):
        find_binaries()


def use_as(user: pwd.struct_passwd, root: Path, bindir: Path) -> None:
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    cluster = Cluster(root, bindir)
    cluster.start()
    assert answer(cluster, "SELECT 1") == 1
    cluster.stop()


@pytest.mark.root
def test_an_ordinary_user_can_run_it(empty):
    os.chown(empty, NOBODY.pw_uid, NOBODY.pw_gid)
    child = multiprocessing.get_context("fork").Process(
        target=use_as, args=(NOBODY, empty, find_binaries())
    )

    child.start()
    child.join()

    assert child.exitcode == 0


@pytest.mark.root
def test_root_behind_a_closed_folder_can_run_it_and_opens_nothing(empty):
    closed = empty / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / ".data", find_binaries())

    try:
        cluster.start()

        assert answer(cluster, "SELECT 1") == 1
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        cluster.stop()


def test_stopping_removes_its_own_sockets_and_nothing_else(empty):
    """In /tmp, anyone may create something at the path of a cluster's socket."""
    cluster = Cluster(empty / ("a-long-folder-name-" * 5), find_binaries())
    cluster.sockets.mkdir()
    (cluster.sockets / embedded_postgres.SOCKET).touch()
    (cluster.sockets / "letter").write_text("Dear Ada")
    other = Cluster(empty / ("another-long-folder-name-" * 4), find_binaries())
    other.sockets.symlink_to(cluster.sockets)
    try:
        other.stop()
        assert (cluster.sockets / embedded_postgres.SOCKET).exists()

        cluster.stop()
        assert [path.name for path in cluster.sockets.iterdir()] == ["letter"]
    finally:
        other.sockets.unlink()
        (cluster.sockets / "letter").unlink()
        cluster.stop()
    assert not cluster.sockets.exists()


def test_what_lies_where_data_would_be_made_is_left_alone(empty):
    (empty / "work").mkdir()
    (empty / "work" / "letter").write_text("Dear Ada")
    cluster = Cluster(empty, find_binaries())
    (empty / f"pg{cluster.version}.unfinished").symlink_to(empty / "work")

    with pytest.raises(EmbeddedPostgresError, match="in the way"):
        cluster.start()

    assert (empty / "work" / "letter").read_text() == "Dear Ada"
