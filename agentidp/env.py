"""The one place that reads the environment. Every value may also come from a file: NAME_FILE."""

import contextlib
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / ".data"
MINIMUM_SECRET_LENGTH = 32
SECRETS = (
    "AGENTIDP_SECRET_KEY",
    "AGENTIDP_SECRET_PEPPER",
    "AGENTIDP_KEY_ENCRYPTION_KEY",
    "AGENTIDP_SECRET_KEY_FALLBACKS",
    "AGENTIDP_SECRET_PEPPER_FALLBACKS",
    "AGENTIDP_KEY_ENCRYPTION_KEY_FALLBACKS",
    "AGENTIDP_METRICS_TOKEN",
    "AGENTIDP_EMAIL_URL",
    "DATABASE_URL",
    "AGENTIDP_DATABASE_OWNER_URL",
    "AGENTIDP_DATABASE_BACKUP_URL",
)
OTHERS = stat.S_IROTH | stat.S_IWOTH


class Variables(FileAwareMapping):
    """The environment. A value may stand in a file; the newline at its end is no part of it."""

    def __getitem__(self, key: str) -> str:
        try:
            value: str = super().__getitem__(key)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ImproperlyConfigured(
                f"{key}_FILE names {self.env[f'{key}_FILE']}, which cannot be read: {reason}."
            ) from None
        return value.rstrip("\r\n")


class Env(environ.Env):
    ENVIRON = Variables()


env = Env()
Env.read_env(BASE_DIR / ".env")


def environment() -> str:
    """`production`, `development` or `test`. Who brings a database is taken for a deployment."""
    default = "production" if env.str("DATABASE_URL", default="") else "development"
    name = env.str("AGENTIDP_ENVIRONMENT", default=default)
    if name not in {"production", "development", "test"}:
        raise ImproperlyConfigured(
            f"AGENTIDP_ENVIRONMENT is {name!r}; use production, development or test."
        )
    return name


def secret(name: str) -> str:
    """A secret from the environment; outside production one that was made on first use and kept.

    Production never invents a secret: a process with a key of its own would sign tokens that its
    siblings refuse. Who only collects static files gets secrets that nobody keeps.
    """
    if sys.argv[1:2] == ["collectstatic"]:
        return secrets.token_urlsafe(48)
    value = env.str(name, default="")
    if not value and environment() != "production":
        return _kept_secret(name)
    return _long_enough(name, value)


def fallbacks(name: str) -> list[str]:
    """The older secrets, or the coming one, that are accepted beside `name`; commas part them."""
    named = f"{name}_FALLBACKS"
    given = (each.strip() for each in env.str(named, default="").split(","))
    return [_long_enough(named, each) for each in given if each]


def _long_enough(name: str, value: str) -> str:
    if len(value) < MINIMUM_SECRET_LENGTH or len(set(value)) < 10:
        raise ImproperlyConfigured(
            f"{name} must be set to at least {MINIMUM_SECRET_LENGTH} random characters. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return value


def require_private_files() -> None:
    """ImproperlyConfigured when any account of this machine can read or change a secret's file."""
    named = [env.ENVIRON.get(f"{name}_FILE") for name in SECRETS]
    for path in (BASE_DIR / ".env", *(Path(name) for name in named if name)):
        if path.exists() and path.stat().st_mode & OTHERS:
            raise ImproperlyConfigured(
                f"{path} holds secrets, but every account of this machine can read or change it. "
                "Give it the mode 0600, or 0640 for a group of the server's own."
            )


def _kept_secret(name: str) -> str:
    path = DATA_DIR / "secrets.json"
    if (kept := _kept(path)).get(name):
        return kept[name]
    DATA_DIR.mkdir(exist_ok=True)
    with _alone_with(path.with_suffix(".lock")):
        kept = _kept(path)
        if name not in kept:
            kept[name] = secrets.token_urlsafe(48)
            unfinished = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(kept, file)
            unfinished.replace(path)
    return kept[name]


def _kept(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


@contextlib.contextmanager
def _alone_with(lock: Path) -> Iterator[None]:
    """One at a time: two first starts would else replace each other's secrets."""
    with lock.open("w") as file:
        with contextlib.suppress(ImportError):  # Windows has no such locks.
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
