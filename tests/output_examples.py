"""Rows for the paths of kodosumi's panel: an execution that the agent runs for a viewer."""

from typing import Any

from executions.models import Execution
from executions.tests.factories import make_execution, make_file, make_user_of, tagged
from tests.tenants import Tenant


def make(tenant: Tenant) -> Execution:
    """A new execution with a file in each area; all its texts contain the tenant's word."""
    execution = make_execution(
        tenant.organization,
        agent=tenant.agent,
        user=make_user_of(tenant.person("viewer")),
        agent_name=tenant.word,
        events=[tagged("meta", 0.0, summary=tenant.word)],
    )
    for area in ("in", "out"):
        make_file(execution, area, f"{tenant.word}/{area}.txt", tenant.word.encode())
    return execution


def execution(tenant: Tenant) -> Execution:
    """The tenant's example execution."""
    found: Execution = tenant.__dict__.setdefault("shown_execution", None) or make(tenant)
    tenant.__dict__["shown_execution"] = found
    return found


def output(tenant: Tenant) -> dict[str, str]:
    return {"fid": execution(tenant).fid}


def file_in(tenant: Tenant) -> dict[str, str]:
    return output(tenant) | {"path": f"{tenant.word}/in.txt"}


def file_out(tenant: Tenant) -> dict[str, str]:
    return output(tenant) | {"path": f"{tenant.word}/out.txt"}


def outputs(tenant: Tenant) -> dict[str, Any]:
    return {"fid": [execution(tenant).fid]}
