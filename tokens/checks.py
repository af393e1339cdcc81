"""Safe start: the stored signing keys must open with the key that we were given."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.core.checks import Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from tokens.keys import require_openable_keys


@register(Tags.database)
def signing_keys_open(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[Error]:
    """A process with another encryption key can sign nothing and verify nothing."""
    if not kwargs.get("databases"):
        return []
    try:
        require_openable_keys()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="tokens.E001")]
    except DatabaseError:
        return []  # Not migrated yet, or away: other checks say so.
    return []
