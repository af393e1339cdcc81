"""Startup checks: the configured secrets must be those that the database was used with."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.core.checks import Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from tokens.keys import require_openable_keys
from tokens.known_secrets import require_known_secrets


@register(Tags.database)
def secrets_are_known(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[Error]:
    """With other secrets, a process could neither sign tokens nor check client secrets."""
    if not kwargs.get("databases"):
        return []
    try:
        require_known_secrets()
        require_openable_keys()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="tokens.E001")]
    except DatabaseError:
        return []  # not migrated yet, or unavailable: other checks report it
    return []
