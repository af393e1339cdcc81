"""Hooks that give Schemathesis credentials and the ids of existing rows.

Loaded by the run that `python -m tests.fuzz` starts, beside the server and with its settings.
"""

import base64
import os
from typing import Any, ClassVar

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentidp.settings")
django.setup()

import schemathesis  # noqa: E402

from executions.models import Execution  # noqa: E402
from organizations.actors import Scope  # noqa: E402
from organizations.models import Membership, Organization  # noqa: E402
from organizations.tenancy.scope import organization_scope  # noqa: E402
from organizations.tests.factories import make_membership, make_user  # noqa: E402
from tests.endpoint import Endpoint  # noqa: E402
from tests.endpoints import ENDPOINTS  # noqa: E402
from tests.fuzz import formats  # noqa: E402, F401 - registers them
from tests.fuzz.rules import keep, parts_allowed  # noqa: E402
from tests.tenants import Tenant  # noqa: E402
from tokens.tests.factories import access_token_for, make_credential  # noqa: E402

ROWS = {(each.method, each.path): each for each in ENDPOINTS}


class Company(Tenant):
    """An organization whose people have no password, because hashing one is the slowest step."""

    def member(self, role: str) -> Membership:
        user = make_user(f"{self._new_name()}@example.com", name=self.word)
        return make_membership(self.organization, role, user)


class CurrentTenant:
    """The organization used at the moment."""

    tenant: Tenant | None = None

    def get(self) -> Tenant:
        if self.tenant is None:
            self.tenant = Company("northwind")
        return self.tenant


current = CurrentTenant()


def row_of(case: Any) -> Endpoint:
    return ROWS[case.operation.method.upper(), case.operation.path]


@schemathesis.auth(refresh_interval=None)
class Proof:
    """The owner's bearer token, the agent's where people may not call, or an OAuth client's secret.

    It is new for each request, because many requests end their own credential.
    """

    given: ClassVar[dict[str, Tenant]] = {}
    """Issued credentials and their tenants."""

    def get(self, case: Any, context: Any) -> str:
        tenant = current.get()
        proof = self.proof_of(case, tenant)
        self.given[proof] = tenant
        return proof

    def proof_of(self, case: Any, tenant: Tenant) -> str:
        row = row_of(case)
        if row.is_form:
            agent = tenant.entitled(tenant.agent, "tokens:read")
            pair = f"{agent.pk}:{make_credential(agent)[1]}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        if not row.role:
            agent = tenant.entitled(tenant.agent, *Scope.values)
            return f"Bearer {access_token_for(agent)}"
        return f"Bearer {access_token_for(entered(case, tenant.person('owner')))}"

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers = case.headers or {}
        case.headers["Authorization"] = data


def entered(case: Any, owner: Membership) -> Membership:
    """An owner's membership in the organization of the path, if an earlier step created it.

    The tenant of that step may have been replaced since, so it is not always the present owner's.
    """
    key = Organization.parse_public_id(str((case.path_parameters or {}).get("organizationId")))
    return Membership.objects.filter(organization_id=key, role="owner").first() or owner


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Skip requests that only add unknown headers, which HTTP ignores.

    Schemathesis allows for that, too, except beside a numeric header, which it takes for invalid
    text.
    """
    return "x-schemathesis-unknown-property" not in {name.lower() for name in case.headers or {}}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Use ids of existing rows where the document allows them and no earlier step set them, and
    satisfy what a JSON Schema cannot express.
    """
    if case.meta is None:
        return
    row, allowed = row_of(case), parts_allowed(case)
    headers = case.headers or {}
    owner = Proof.given.get(headers.get("Authorization", ""))
    if owner not in (None, current.tenant):  # generated before the organization was replaced
        headers["Authorization"] = Proof().get(case, context)
    if case.path_parameters and "path" in allowed and not is_stateful(case):
        case.path_parameters |= row.ids(current.get())
    if "{executionId}" in row.path and is_stateful(case) and not is_wrong(case, "header"):
        show_lease(case)
    keep(case, row, current.get())


def is_wrong(case: Any, part: str) -> bool:
    kinds = {kind.value for kind in case.meta.components}
    return part in kinds - parts_allowed(case)


def show_lease(case: Any) -> None:
    """Send the lease generation, which its holder knows."""
    with organization_scope(current.get().organization):
        found = Execution.objects.filter(fid=case.path_parameters["executionId"]).first()
    if found is not None and found.lease_generation:
        case.headers["X-Lease-Generation"] = str(found.lease_generation)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Replace the organization once it has been changed too much."""
    is_changed = case.operation.method.upper() != "GET" and response.status_code < 300
    is_gone = case.operation.path.endswith("{organizationId}") or response.status_code == 401
    if is_changed and (is_gone or not is_stateful(case)):
        current.tenant = None


def is_stateful(case: Any) -> bool:
    return case.meta is not None and case.meta.phase.name.value == "stateful"
