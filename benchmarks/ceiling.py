"""The product's server without its database work: what everything else on the path could give.

Only for the benchmark's row "no database": each client's first answer is remembered and reused.
"""

from typing import Any

from agentidp.wsgi import unguarded_application
from tokens.actions import issue

application = unguarded_application
known: dict[Any, Any] = {}
ask_database = issue.call_issue


def remembered(client_id: Any, *arguments: Any) -> Any:
    if client_id not in known:
        known[client_id] = ask_database(client_id, *arguments)
    return known[client_id]


issue.call_issue = remembered
