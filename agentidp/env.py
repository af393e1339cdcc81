"""The one place that reads the environment. Every value may also come from a file: NAME_FILE."""

import json
import os
import secrets
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / ".data"
MINIMUM_SECRET_LENGTH = 32

env = environ.FileAwareEnv()
environ.FileAwareEnv.read_env(BASE_DIR / ".env")


def environment() -> str:
    """`production`, `development` or `test`. Who brings a database is taken for a deployment."""
    default = "production" if os.environ.get("DATABASE_URL") else "development"
    name = env.str("AGENTIDP_ENVIRONMENT", default=default)
    if name not in {"production", "development", "test"}:
        raise ImproperlyConfigured(
            f"AGENTIDP_ENVIRONMENT is {name!r}; use production, development or test."
        )
    return name


def secret(name: str) -> str:
    """A secret from the environment; outside production one that was made on first use and kept.

    Production never invents a secret: a process with a key of its own would sign tokens that its
    siblings refuse.
    """
    value = env.str(name, default="")
    if not value and environment() != "production":
        return _kept_secret(name)
    if len(value) < MINIMUM_SECRET_LENGTH or len(set(value)) < 10:
        raise ImproperlyConfigured(
            f"{name} must be set to at least {MINIMUM_SECRET_LENGTH} random characters. "
            "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return value


def _kept_secret(name: str) -> str:
    path = DATA_DIR / "secrets.json"
    DATA_DIR.mkdir(exist_ok=True)
    kept = json.loads(path.read_text()) if path.exists() else {}
    if name not in kept:
        kept[name] = secrets.token_urlsafe(48)
        unfinished = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(kept, file)
        unfinished.replace(path)
    return str(kept[name])
