"""How long PostgreSQL works for a request.

The limit stands in the connections of a server's processes alone. What `manage.py` starts has none:
the worker with its nightly retention, migrations, backup, restore and imports take as long as they
take.
"""

from django.conf import settings
from django.db import connections


def limit_statements() -> None:
    """Limit every statement of this process, over connections that are made from now on."""
    options = connections.settings["default"]["OPTIONS"]
    limit = f" -c statement_timeout={settings.STATEMENT_TIMEOUT}"
    options["options"] = options["options"].removesuffix(limit) + limit
