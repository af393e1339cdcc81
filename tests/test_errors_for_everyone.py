"""Only operators see an engine's traces and its own JSON; everyone else sees a recognized line."""

from typing import Any

import pytest
from django.test import Client

from conftest import ClientFor
from executions.errors import OPERATORS_ONLY
from executions.event_log import NewEvent
from executions.models import Execution, ExecutionEvent, now
from executions.tests.factories import FAILED, make_execution, make_user_of
from executions.tests.traces import TRACES
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership

OF_A_RUN = (
    *("/api/v1/executions/{}", "/api/dashboard/execution/{}/details"),
    *("/outputs/status/{}", "/outputs/raw/{}", "/outputs/html/{}", "/outputs/stream/{}"),
    *("/outputs/main/{}", "/outputs/main/{}?raw=1", "/outputs/main/{}?extended=false"),
    *("/outputs/stdio/{}", "/outputs/stdio/{}?raw=1", "/outputs/stdio/{}?plain=1"),
    *("/executions/{}", "/executions/{}/events", "/executions/{}/events?kind=error"),
    *("/executions/{}/log", "/executions/{}/log.txt", "/executions/{}/events.jsonl"),
)
OF_ALL_RUNS = (
    *("/api/v1/executions", "/api/dashboard/running-agents", "/api/dashboard/errors"),
    *("/api/dashboard/error-groups", "/api/dashboard/timeline", "/api/dashboard/agent-stats"),
    *("/api/dashboard/running-agents?format=csv", "/api/dashboard/errors?format=csv"),
    *("/api/dashboard/error-groups?format=csv", "/timeline/list", "/timeline/changes?since=0"),
    *("/timeline", "/executions", "/executions/errors", "/executions/errors?groups=all"),
    *("/executions/timeline", "/executions/statistics", "/executions/export", "/"),
)


@pytest.fixture
def viewer(organization: Organization) -> Membership:
    return make_membership(organization, Membership.Role.VIEWER)


def failed_as(viewer: Membership, name: str) -> Execution:
    event = NewEvent(now() - 60, ExecutionEvent.Kind.ERROR, TRACES[name][0])
    user = make_user_of(viewer)
    return make_execution(viewer.organization, FAILED, events=[event], user=user)


def read(path: str, browser: Client, api: Client) -> str:
    client = api if path.startswith("/api/") else browser
    answer: Any = client.get(path)
    assert answer.status_code == 200, path
    return (b"".join(answer) if answer.streaming else answer.content).decode()


def test_no_place_of_a_run_shows_a_trace(
    viewer: Membership, client_for: ClientFor, signed_in: Any
) -> None:
    browser, api = signed_in(viewer), client_for(viewer)
    events = [NewEvent(now() - 60, ExecutionEvent.Kind.ERROR, text) for text, _ in TRACES.values()]
    run = make_execution(viewer.organization, FAILED, events=events, user=make_user_of(viewer))

    told = {path: read(path.format(run.fid), browser, api) for path in OF_A_RUN}

    assert [path for path, text in told.items() if "s3cret" in text] == []


@pytest.mark.parametrize("name", TRACES)
def test_a_run_says_the_recognized_line_of_a_trace(
    viewer: Membership, client_for: ClientFor, signed_in: Any, name: str
) -> None:
    run = failed_as(viewer, name)

    told = read(f"/executions/{run.fid}/log.txt", signed_in(viewer), client_for(viewer))

    with organization_scope(viewer.organization):
        run.refresh_from_db()
    assert run.error == (TRACES[name][1] or OPERATORS_ONLY)
    assert "s3cret" not in told
    assert run.error.split("'")[0] in told


def test_no_list_shows_a_trace_or_finds_one(
    viewer: Membership, client_for: ClientFor, signed_in: Any
) -> None:
    runs = [failed_as(viewer, name) for name in TRACES]
    browser, api = signed_in(viewer), client_for(viewer)

    told = {path: read(path, browser, api) for path in OF_ALL_RUNS}

    assert [path for path, text in told.items() if "s3cret" in text] == []
    assert "ValueError: boom" in told["/api/dashboard/errors"]
    for path in ("/api/v1/executions", "/api/dashboard/errors", "/api/dashboard/error-groups"):
        found = read(f"{path}?search=s3cret", browser, api)
        assert not any(run.fid in found for run in runs)
        assert "ValueError" not in found


def test_operators_see_all_of_it(
    organization: Organization, viewer: Membership, client_for: ClientFor, signed_in: Any
) -> None:
    operator = make_membership(organization, Membership.Role.OPERATOR)
    run = failed_as(viewer, "Python")
    browser, api = signed_in(operator), client_for(operator)

    for path in ("/api/dashboard/errors", f"/outputs/stream/{run.fid}", f"/executions/{run.fid}"):
        assert "s3cret" in read(path, browser, api)
