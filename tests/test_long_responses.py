"""A streamed response never lets a slow client hold a thread, and ends with the client's access."""

import ast
import gc
import tomllib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from agents.models import Agent
from agents.tests.factories import make_agent
from core.failures import RightEnded
from core.long_responses import PIECE
from executions.event_log import NewEvent
from executions.models import now
from executions.tests.factories import make_execution, make_file
from organizations.models import Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tenancy.thread_slots import OrganizationBusy, slots
from organizations.tests.factories import make_membership, record_event
from tokens.tests.clients import bearer
from tokens.tests.factories import access_token_for

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "root_packages"
]
HOLDS_A_THREAD = {"StreamingHttpResponse", "FileResponse"}


def test_streamed_answers_are_long_or_live_responses() -> None:
    modules = [
        path
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*.py")
        if "tests" not in path.parts and path != PROJECT / "core" / "fast_path" / "responses.py"
    ]
    assert len(modules) > 100

    found = [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in modules
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in HOLDS_A_THREAD
    ]

    assert found == []


def of_page(member: Membership, **_: Any) -> Client:
    browser = Client()
    browser.force_login(member.user)
    return browser


def of_person(member: Membership, **_: Any) -> Client:
    return bearer(access_token_for(member))


def of_agent(agent: Agent, **_: Any) -> Client:
    return bearer(access_token_for(agent))


LONG = [
    (of_page, "/executions/export"),
    (of_page, "/executions/{fid}/log.txt"),
    (of_page, "/executions/{fid}/events.jsonl"),
    (of_page, "/audit/export"),
    (of_agent, "/api/v1/audit/export"),
    (of_person, "/api/v1/audit/export"),
    (of_person, "/api/dashboard/running-agents?format=csv"),
    (of_agent, "/files/{fid}/out/report.txt"),
    (of_page, "/files/{fid}/out/report.txt"),
]


@pytest.mark.parametrize(("asks", "path"), LONG)
def test_a_long_answer_ends_with_the_right_to_it(
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
    asks: Callable[..., Client],
    path: str,
) -> None:
    monkeypatch.setattr("core.fast_path.responses.CHECK_INTERVAL_SECONDS", 0)
    member = make_membership(organization, "owner")
    agent = make_agent(organization, scopes=["audit:read", "executions:read"])
    execution = make_execution(organization, agent=agent, events=[NewEvent(1, "stdout", "one")])
    make_file(execution, content=b"x" * 100_000)
    client = asks(member=member, agent=agent)
    path = path.format(fid=execution.fid)
    whole = client.get(path)
    assert whole.status_code == 200
    assert b"".join(whole.streaming_content)

    answer = client.get(path)
    User.objects.filter(pk=member.user_id).update(is_active=False)
    with organization_scope(organization):
        Agent.objects.update(status="suspended")

    with pytest.raises(RightEnded):
        b"".join(answer.streaming_content)


@pytest.mark.parametrize(("asks", "path"), LONG)
def test_a_long_answer_is_made_in_the_place_of_its_organization(
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
    asks: Callable[..., Client],
    path: str,
) -> None:
    """The door is left by then, and the thread is one that serves everybody."""
    member = make_membership(organization, "owner")
    agent = make_agent(organization, scopes=["audit:read", "executions:read"])
    execution = make_execution(organization, agent=agent)
    make_file(execution)
    answer: Any = asks(member=member, agent=agent).get(path.format(fid=execution.fid))

    monkeypatch.setattr(slots, "_half", 0)  # all that it may have is taken

    assert answer.share == organization.pk
    with pytest.raises(OrganizationBusy), answer.place():
        pass


READ_IN_PIECES = [
    path for _, path in LONG if path.startswith("/executions/{fid}") or "audit" in path
] + ["/api/dashboard/errors?format=csv"]


@pytest.mark.slow
def test_between_two_pieces_nothing_is_held_of_a_long_answer(organization: Organization) -> None:
    member = make_membership(organization, "owner")
    words = "words " * 320
    events = [NewEvent(now(), kind, words) for kind in ("stdout", "error") for _ in range(200)]
    execution = make_execution(organization, events=events)
    for _ in range(200):
        record_event(organization, note=words)

    for path in set(READ_IN_PIECES):
        asks = of_page if path.startswith(("/executions", "/audit")) else of_person
        assert_holds_nothing(asks(member=member), path.format(fid=execution.fid))


def assert_holds_nothing(client: Client, path: str) -> None:
    sizes = [len(piece) for piece in client.get(path).streaming_content]
    assert sum(sizes) > 5 * PIECE
    assert max(sizes) < PIECE + 4_000

    answer = client.get(path)
    pieces = iter(answer.streaming_content)
    tracemalloc.start()
    try:
        while len(next(pieces)) < PIECE:  # the header comes first
            pass
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert b"".join(pieces)

    assert held < PIECE
