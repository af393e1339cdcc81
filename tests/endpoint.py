"""What the table of endpoints says about each operation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.tenants import Tenant

PUBLIC, CLIENT, ORGANIZATION, PAGE, STAFF = "public", "client", "organization", "page", "staff"


@dataclass(frozen=True)
class Endpoint:
    """One operation.

    `public`: no caller is asked for. `client`: an OAuth client authenticates with its secret; with
    `scopes`, a bearer may call it as well. `organization`: a bearer token. `page`: a session.
    `staff`: the administration of the deployment.
    """

    method: str
    path: str
    """As the OpenAPI document writes it."""
    access: str
    scopes: tuple[str, ...] = ()
    role: str = "viewer"
    """The least role of a person that may call it; empty where none may."""
    caller: str = "agent"
    """`agent`: any agent with the scopes may call it; `itself`: only the agent that the path
    names; `person`: the proofs call it as a person."""
    ids: Callable[[Tenant], dict[str, str]] = lambda tenant: {}
    """The ids in the path: those of rows that the tenant owns."""
    body: Callable[[Tenant], dict[str, Any]] | None = None
    """A body that works."""
    content: bytes = b""
    """A body that works, where it is no JSON and no form."""
    references: tuple[str, ...] = ()
    """Fields of the body that name a row of the organization."""
    rows: Callable[[Tenant, int], None] | None = None
    """For a list: how to give it that many more rows."""
    rows_key: str = "data"
    """Under which the list's answer has its rows."""
    is_form: bool = False
    asks: bool = False
    """A page that asks whether to do what its POST does."""
    status: int = 200
    reason: str = ""
    """Why it is public, or why the OpenAPI document leaves it out."""
    is_documented: bool = True

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
