"""The installer: what it considers installed, which Python it accepts, what it never changes."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentidp.devtools import bootstrap, bootstrap_tools


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("Django\n")
    return path


def test_an_installed_set_is_not_installed_again(tmp_path, source):
    bootstrap.Stamp(tmp_path, "packages", [source]).set("demo")

    assert bootstrap.Stamp(tmp_path, "packages", [source]).holds("demo")
    assert not bootstrap.Stamp(tmp_path, "packages", [source]).holds("test")


def test_the_set_for_tests_serves_the_demo_too(tmp_path, source):
    bootstrap.Stamp(tmp_path, "packages", [source]).set("test")

    assert bootstrap.Stamp(tmp_path, "packages", [source]).holds("demo")


def test_changed_requirements_are_installed(tmp_path, source):
    bootstrap.Stamp(tmp_path, "packages", [source]).set("test")
    source.write_text("Django\nrequests\n")

    assert not bootstrap.Stamp(tmp_path, "packages", [source]).holds("test")


def test_a_python_that_does_not_run_is_not_taken(tmp_path):
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n")
    shim.chmod(0o755)

    assert bootstrap.works(sys.executable)
    assert not bootstrap.works(shim)
    assert not bootstrap.works(tmp_path / "absent")


def test_an_unknown_set_is_answered_with_the_usage():
    done = subprocess.run(
        [sys.executable, bootstrap.__file__, "everything"], capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr == "usage: bootstrap.py [demo|test|clean]\n"


OTHERS_FOLDER = "is not a virtual environment"
OTHERS_ENVIRONMENT = "make did not create it"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A separate project folder with a copy of the installer and some work in it."""
    path = tmp_path / "checkout"
    (path / "agentidp" / "devtools").mkdir(parents=True)
    for module in (bootstrap, bootstrap_tools):
        shutil.copy(module.__file__, path / "agentidp" / "devtools")
    shutil.copy(Path(bootstrap.__file__).parents[2] / "Makefile", path)
    (path / ".git").mkdir()
    (path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    for name in ("requirements-demo.txt", "constraints.txt", "package.json", "package-lock.json"):
        (path / name).touch()
    return path


def seen(folder: Path) -> dict[str, str]:
    """Everything below the folder: targets of links and contents of files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        what = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        found[str(path.relative_to(folder))] = str(what)
    return found


def set_up(
    checkout: Path, environment: object, command: str = "demo"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", checkout / "agentidp" / "devtools" / "bootstrap.py", command],
        env=os.environ | {"AGENTIDP_VENV": str(environment), "HOME": str(checkout.parent)},
        cwd=checkout,
        capture_output=True,
        text=True,
    )


def make_environment(checkout: Path, environment: object) -> subprocess.CompletedProcess[str]:
    """Run the part of the installation that clears and creates; it downloads nothing."""
    code = (
        "import bootstrap as b\nwith b.one_at_a_time():\n b.works(b.PYTHON) or b.make_environment()"
    )
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=os.environ
        | {
            "AGENTIDP_VENV": str(environment),
            "PYTHONPATH": str(checkout / "agentidp" / "devtools"),
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    # Never "/" itself: without the guard, this test would erase the machine.
    "named",
    [".", "..", "~", "agentidp", "{home}", "{home}/work", "{home}/link"],
)
def test_a_folder_that_is_no_environment_is_left_as_it_is(checkout, named):
    home = checkout.parent
    (home / "work").mkdir()
    (home / "work" / "letter").write_text("Dear Ada")
    (home / "link").symlink_to("work")
    before = seen(home)

    done = set_up(checkout, named.format(home=home))

    assert done.returncode == 1
    assert OTHERS_FOLDER in done.stderr
    assert done.stderr.count("\n") == 1
    assert seen(home) == before


def test_an_empty_name_means_the_usual_folder(checkout):
    before = seen(checkout)

    done = make_environment(checkout, "")

    assert done.returncode == 0, done.stderr
    assert bootstrap.works(checkout / ".venv" / "bin" / "python")
    after = seen(checkout)
    assert {name: what for name, what in after.items() if not name.startswith(".venv")} == before


def test_make_and_the_installer_read_the_name_alike(checkout):
    for value, folder in (("", ".venv"), (" ", ".venv"), ("/some/where", "/some/where")):
        shown = subprocess.run(
            ["make", "--dry-run", "unit"],
            env=os.environ | {"AGENTIDP_VENV": value},
            cwd=checkout,
            capture_output=True,
            text=True,
        )

        assert f"\n{folder}/bin/python -m pytest" in shown.stdout


def test_a_broken_environment_of_others_is_not_recreated(checkout):
    theirs = checkout / "theirs"
    (theirs / "bin").mkdir(parents=True)
    (theirs / "pyvenv.cfg").write_text("home = /gone\n")
    (theirs / "bin" / "python").symlink_to("/gone/bin/python")
    (theirs / "notes").write_text("kept")
    before = seen(checkout)

    done = set_up(checkout, "theirs")

    assert done.returncode == 1
    assert OTHERS_ENVIRONMENT in done.stderr
    assert seen(checkout) == before


@pytest.mark.parametrize(
    "left", [[bootstrap.LOCK], [bootstrap.LOCK, bootstrap.MARK, "pyvenv.cfg", "lib/half"]]
)
def test_a_set_up_that_was_interrupted_is_repaired(checkout, left):
    environment = checkout / ".venv"
    for name in left:
        (environment / name).parent.mkdir(parents=True, exist_ok=True)
        (environment / name).touch()

    done = make_environment(checkout, ".venv")

    assert done.returncode == 0, done.stderr
    assert bootstrap.works(environment / "bin" / "python")
    assert not (environment / "lib" / "half").exists()


def test_only_links_go_when_an_environment_is_made_anew(checkout):
    outside = checkout.parent / "outside"
    outside.mkdir()
    (outside / "letter").write_text("Dear Ada")
    environment = checkout / ".venv"
    environment.mkdir()
    (environment / bootstrap.MARK).touch()
    (environment / "lib64").symlink_to(outside)
    (environment / "file").symlink_to(outside / "letter")

    done = make_environment(checkout, ".venv")

    assert done.returncode == 0, done.stderr
    assert not (environment / "file").is_symlink()
    assert seen(outside) == {"letter": "b'Dear Ada'"}


def test_what_cannot_be_an_environment_is_told_in_one_sentence(checkout):
    (checkout / "file").write_text("kept")
    (checkout / "nowhere").symlink_to("gone")
    (checkout / "file-link").symlink_to("file")
    before = seen(checkout)
    for named in ("file", "file-link", "file/below", "nowhere", "not/there"):
        done = set_up(checkout, named)

        assert done.returncode == 1, named
        assert done.stderr.count("\n") == 1, done.stderr
        assert named.split("/")[0] in done.stderr
    assert seen(checkout) == before


def test_two_at_once_make_one_environment(checkout):
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(make_environment, [checkout] * 2, [".venv"] * 2))

    assert [done.returncode for done in both] == [0, 0], both
    assert bootstrap.works(checkout / ".venv" / "bin" / "python")


def test_linked_browser_libraries_are_not_emptied(checkout):
    shared = checkout.parent / "shared"
    shared.mkdir()
    (shared / "library.js").write_text("kept")
    (checkout / "node_modules").symlink_to(shared)
    done = subprocess.run(
        [sys.executable, "-B", "-c", "import bootstrap; bootstrap.install_npm_packages()"],
        env=os.environ | {"PYTHONPATH": str(checkout / "agentidp" / "devtools")},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "node_modules is a link" in done.stderr
    assert seen(shared) == {"library.js": "b'kept'"}


@pytest.mark.parametrize("named", ["", "..", "theirs", "{home}/outside"])
def test_cleaning_removes_what_was_made_and_nothing_else(checkout, named):
    outside = checkout.parent / "outside"
    outside.mkdir()
    (outside / "letter").write_text("Dear Ada")
    for name in (".venv", ".venv-3.13", "theirs"):
        (checkout / name / "lib" / "__pycache__").mkdir(parents=True)
        (checkout / name / "pyvenv.cfg").touch()
    (checkout / ".data").mkdir()
    (checkout / ".data" / "secrets.json").write_text("{}")
    (checkout / "linked").symlink_to(outside)
    (outside / "__pycache__").mkdir()
    before = seen(checkout.parent)
    # From here on, bootstrap made the environment.
    (checkout / ".venv" / bootstrap.MARK).touch()
    (checkout / "node_modules" / "axe").mkdir(parents=True)
    (checkout / "node_modules" / ".package-lock.json").touch()
    (checkout / "agentidp" / "__pycache__").mkdir()
    (checkout / ".pytest_cache").mkdir()
    (checkout / "staticfiles").symlink_to(outside)

    done = set_up(checkout, named.format(home=checkout.parent), "clean")

    assert done.returncode == 0, done.stderr
    kept = {name: what for name, what in before.items() if not name.startswith("checkout/.venv/")}
    kept.pop("checkout/.venv")
    assert seen(checkout.parent) == kept
    assert f"{checkout / '.venv-3.13'} is kept" in done.stdout


def call(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the installer in a process of its own."""
    folder = str(Path(bootstrap.__file__).parent)
    return subprocess.run(
        [sys.executable, "-B", "-c", f"import bootstrap as b\n{code}"],
        env=os.environ | {"PYTHONPATH": folder} | environment,
        capture_output=True,
        text=True,
    )


def test_a_silent_program_is_said_to_be_still_at_work():
    """The program ends once it has been reported."""
    waiting = "import os, sys; sys.exit(os.read(0, 1) != b'x')"
    code = "import subprocess, threading\n"
    code += "read, write = b.os.pipe()\nb.os.dup2(read, 0)\nb.PROGRESS_INTERVAL_SECONDS = 0.01\n"
    code += "say = b.say\nb.say = lambda words: (say(words), b.os.write(write, b'x'))\n"
    done = call(code + f"b.run(b.sys.executable, '-c', {waiting!r})")

    assert done.returncode == 0, done.stderr
    assert "still working" in done.stdout
    assert call("b.run('true')").stdout == ""
    assert "CalledProcessError" in call("b.run('false')").stderr


@pytest.mark.parametrize("problem", ["lock", "package"])
def test_the_set_up_waits_for_another_that_installs_packages(tmp_path, problem):
    """Fails like apt-get; by the second try the other installation has ended."""
    said = {
        "lock": "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt)",
        "package": "E: Unable to locate package chromium",
    }[problem]
    program = tmp_path / "apt-get"
    program.write_text(
        f'#!/bin/sh\ncd {tmp_path}\n[ -e tried ] && echo "$@" > done && exit 0\n'
        f'touch tried\necho "{said}" >&2\nexit 100\n'
    )
    program.chmod(0o755)

    path = f"{tmp_path}:{os.environ['PATH']}"
    tools = "from agentidp.devtools import bootstrap_tools as tools\n"
    done = call(
        f"{tools}tools.RETRY_INTERVAL_SECONDS = 0\ntools.apt_get('install', 'chromium')", PATH=path
    )

    if problem == "lock":
        assert done.returncode == 0, done.stderr
        assert "waiting until another program" in done.stdout
        assert (tmp_path / "done").read_text().endswith("install chromium\n")
    else:
        assert done.returncode == 1
        assert said in done.stderr
        assert not (tmp_path / "done").exists()
