"""Every request has the same id in its response, the log and the audit log, whatever it sends."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import ClientFor
from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope

SAME = "the-callers-own-id"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log as an operator reads it."""
    root = logging.getLogger()
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(root.handlers[0].formatter)
    root.addHandler(handler)
    yield handler.stream
    root.removeHandler(handler)


def lines_of(log: io.StringIO) -> list[dict[str, Any]]:
    lines = map(json.loads, log.getvalue().splitlines())
    return [line for line in lines if line["event"] == "request"]


def test_two_requests_never_share_an_id(
    organization: Organization, client_for: ClientFor, log: io.StringIO
) -> None:
    client = client_for(organization, scopes="agents:write")
    body = {
        "agentType": "custom",
        "version": "1.0.0",
        "capabilities": ["a:b"],
        "owner": "us",
        "deploymentEnv": "production",
    }

    answers = [
        client.post(
            "/api/v1/agents",
            body | {"email": f"agent-{number}@example.com"},
            content_type="application/json",
            headers={"X-Request-Id": SAME},
        )
        for number in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    own = [answer["X-Request-Id"] for answer in answers]
    assert len({*own, SAME}) == 3
    assert [line["request_id"] for line in lines_of(log)] == own
    assert [line["client_request_id"] for line in lines_of(log)] == [SAME, SAME]
    with organization_scope(organization):
        events = AuditEvent.objects.filter(action="agent.created").order_by("sequence")
        assert list(events.values_list("request_id", flat=True))[-2:] == own


@pytest.mark.parametrize("given", ["short", "x" * 65, "with space in it", "new\nline-and-more", ""])
def test_an_invalid_request_id_is_replaced(
    db: None, client_for: ClientFor, log: Any, given: str
) -> None:
    answer = client_for().get("/livez", headers={"X-Request-Id": given})

    (line,) = lines_of(log)
    assert line["request_id"] == answer["X-Request-Id"]
    assert "client_request_id" not in line
