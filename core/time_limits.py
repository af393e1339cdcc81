"""PostgreSQL's timeouts for processes that nobody watches.

Whatever a person starts with `manage.py` has none: migrations, backup, restore, imports and a shell
take as long as they need, and a shell inside an organization keeps a transaction open while its
user thinks.
"""

from django.conf import settings
from django.db import connections


def limit_statements() -> None:
    """Limit every statement on connections that this process opens from now on.

    Only servers: the worker's nightly retention takes as long as it needs.
    """
    _add("statement_timeout", settings.STATEMENT_TIMEOUT)


def limit_idle_transactions() -> None:
    """Let the database end transactions of this process, on connections that it opens from now on,
    that wait for its next statement too long. A process that was stopped or that the network has
    cut off would otherwise keep its locks for ever."""
    _add("idle_in_transaction_session_timeout", settings.IDLE_TRANSACTION_TIMEOUT)


def _add(name: str, value: str) -> None:
    options = connections.settings["default"]["OPTIONS"]
    limit = f" -c {name}={value}"
    options["options"] = options["options"].replace(limit, "") + limit
