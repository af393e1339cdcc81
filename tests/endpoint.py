"""A row of the table of endpoints."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.tenants import Tenant

PUBLIC, CLIENT, ORGANIZATION, PAGE, STAFF = "public", "client", "organization", "page", "staff"


@dataclass(frozen=True)
class Endpoint:
    """An operation and who may call it.

    `public`: no authentication. `client`: an OAuth client authenticates with its secret; with
    `scopes`, a bearer may call it as well. `organization`: a bearer token. `page`: a session.
    `staff`: the administration of the deployment.
    """

    method: str
    path: str
    """The path as in the OpenAPI document."""
    access: str
    scopes: tuple[str, ...] = ()
    role: str = "viewer"
    """The least role with which a person may call it; empty if people may not."""
    caller: str = "agent"
    """`agent`: any agent with the scopes may call it; `itself`: only the agent in the path;
    `person`: the tests call it as a person.
    """
    ids: Callable[[Tenant], dict[str, str]] = lambda tenant: {}
    """The ids in the path, of rows that the tenant owns."""
    body: Callable[[Tenant], dict[str, Any]] | None = None
    """A valid body."""
    content: bytes = b""
    """A valid body that is neither JSON nor a form."""
    references: tuple[str, ...] = ()
    """Fields of the body that refer to a row of the organization."""
    rows: Callable[[Tenant, int], None] | None = None
    """Adds that many rows, for a list."""
    rows_key: str = "data"
    """The key of the rows in a list's response."""
    is_form: bool = False
    asks: bool = False
    """Whether it is a page that asks for confirmation of its POST."""
    status: int = 200
    reason: str = ""
    """Why it is public, or why the OpenAPI document omits it."""
    is_documented: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
