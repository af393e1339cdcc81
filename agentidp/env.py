"""The one place that reads the environment. Every variable can also be given as a file: NAME_FILE.

An empty variable counts as unset. Errors name the variable in one line, without its value, which
may be secret.
"""

import contextlib
import json
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / ".data"
MIN_SECRET_LENGTH = 32
SECRETS = (
    "AGENTIDP_SECRET_KEY",
    "AGENTIDP_SECRET_PEPPER",
    "AGENTIDP_KEY_ENCRYPTION_KEY",
    "AGENTIDP_SECRET_KEY_FALLBACKS",
    "AGENTIDP_SECRET_PEPPER_FALLBACKS",
    "AGENTIDP_KEY_ENCRYPTION_KEY_FALLBACKS",
    "AGENTIDP_METRICS_TOKEN",
    "AGENTIDP_EMAIL_URL",
    "AGENTIDP_FILES_BUCKET_SECRET_KEY",
    "DATABASE_URL",
    "AGENTIDP_DATABASE_OWNER_URL",
    "AGENTIDP_DATABASE_BACKUP_URL",
)
MAX_NUMBER = 10**15
OTHERS = stat.S_IROTH | stat.S_IWOTH


class Variables(FileAwareMapping):
    """The environment, with values from files.

    A file's trailing newline is not part of the value.
    """

    def __init__(self) -> None:
        super().__init__(cache=False)

    def __getitem__(self, key: str) -> str:
        is_in_file = self.env.get(f"{key}_FILE", "").strip()
        try:
            value: str = super().__getitem__(key) if is_in_file else self.env[key]
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ImproperlyConfigured(
                f"{key}_FILE names {self.env[f'{key}_FILE']}, which cannot be read: {reason}."
            ) from None
        if not value.strip():
            raise KeyError(key)
        return value.rstrip("\r\n")

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Called for `.env`: a variable that is empty in the environment stays empty."""
        return self.env.setdefault(key, default)


class Env(environ.Env):
    ENVIRON = Variables()

    def text(self, name: str, default: str = "") -> str:
        return self.ENVIRON.get(name, default)

    def number(self, name: str, default: int, *, least: int = 0, most: int = MAX_NUMBER) -> int:
        value = self.text(name, str(default)).strip()
        if not re.fullmatch(r"-?[0-9]{1,18}", value) or not least <= int(value) <= most:
            raise wrong(name, f"a whole number from {least} to {most}")
        return int(value)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name, str(default)).strip().lower()
        if value not in {*YES, *NO}:
            raise wrong(name, "true or false")
        return value in YES

    def names(self, name: str, default: Sequence[str] = ()) -> list[str]:
        given = self.text(name, "").split(",")
        return [each.strip() for each in given if each.strip()] or [*default]

    def matching(self, name: str, pattern: str, must_be: str, *, default: str = "") -> str:
        value = self.text(name, default).strip()
        if value and not re.fullmatch(pattern, value):
            raise wrong(name, must_be)
        return value

    def database(self, name: str, default: str = "") -> dict[str, Any] | None:
        """The parts of a PostgreSQL URL, or None if it is not set.

        Raise ImproperlyConfigured if it is invalid.
        """
        form = "an address of the form postgres://role:password@host:port/database"
        url = self.matching(name, r"(postgres|postgresql|pgsql|psql)://\S+", form, default=default)
        if not url:
            return None
        try:
            config: dict[str, Any] = self.db_url_config(url)
        except (ValueError, KeyError, ImproperlyConfigured):
            raise wrong(name, form) from None
        if not config["NAME"] or not config["USER"]:
            raise wrong(name, form)
        return config

    def mail(self, name: str) -> dict[str, Any]:
        """Django's mail settings for the URL. Raise ImproperlyConfigured if it is invalid."""
        url = self.text(name).strip()
        try:
            config: dict[str, Any] = self.email_url_config(url) if url else {}
        except (ValueError, KeyError, ImproperlyConfigured):
            config = {"EMAIL_BACKEND": ""}
        is_remote = "smtp" in config.get("EMAIL_BACKEND", "")
        if (url and not config["EMAIL_BACKEND"]) or (is_remote and not config["EMAIL_HOST"]):
            raise wrong(name, "an address like smtp+tls://user:password@host:587")
        return config | ({"EMAIL_BACKEND": "core.mail_deadline.SmtpBackend"} if is_remote else {})


YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def wrong(name: str, must_be: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} must be {must_be}.")


env = Env()
Env.read_env(BASE_DIR / ".env")
# prometheus_client reads the environment itself, and takes an empty name for a folder.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR", "").strip():
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def environment() -> str:
    """`production`, `development` or `test`. With a DATABASE_URL the default is production."""
    default = "production" if env.text("DATABASE_URL", default="") else "development"
    names = "production, development or test"
    form = names.replace(", ", "|").replace(" or ", "|")
    return env.matching("AGENTIDP_ENVIRONMENT", form, names, default=default)


def secret(name: str) -> str:
    """A secret from the environment, or outside production, one that is generated once and kept.

    Production never generates a secret: a process with its own key would sign tokens that the
    others refuse. `collectstatic` gets temporary secrets.
    """
    if sys.argv[1:2] == ["collectstatic"]:
        return secrets.token_urlsafe(48)
    value = env.text(name, default="")
    if not value and environment() != "production":
        return _local_secret(name)
    return _require_length(name, value)


def fallbacks(name: str) -> list[str]:
    """Older or coming secrets, separated by commas, that are accepted besides `name`."""
    named = f"{name}_FALLBACKS"
    return [_require_length(named, each) for each in env.names(named)]


def _require_length(name: str, value: str) -> str:
    if len(value) < MIN_SECRET_LENGTH or len(set(value)) < 10:
        raise ImproperlyConfigured(
            f"{name} must be set to at least {MIN_SECRET_LENGTH} random characters. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return value


def require_private_files() -> None:
    """Raise ImproperlyConfigured if other accounts can read or change a file with secrets."""
    named = [env.ENVIRON.get(f"{name}_FILE") for name in SECRETS]
    for path in (BASE_DIR / ".env", *(Path(name) for name in named if name)):
        if path.exists() and path.stat().st_mode & OTHERS:
            raise ImproperlyConfigured(
                f"{path} holds secrets, but every account of this machine can read or change it. "
                "Give it the mode 0600, or 0640 for a group of the server's own."
            )


def _local_secret(name: str) -> str:
    path = DATA_DIR / "secrets.json"
    if (kept := _read_secrets(path)).get(name):
        return kept[name]
    DATA_DIR.mkdir(exist_ok=True)
    with _exclusively(path.with_suffix(".lock")):
        kept = _read_secrets(path)
        if name not in kept:
            kept[name] = secrets.token_urlsafe(48)
            unfinished = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(kept, file)
            unfinished.replace(path)
    return kept[name]


def _read_secrets(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


@contextlib.contextmanager
def _exclusively(lock: Path) -> Iterator[None]:
    """Serialize writers: two first starts would otherwise replace each other's secrets."""
    with lock.open("w") as file:
        with contextlib.suppress(ImportError):  # Windows has no such locks
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
