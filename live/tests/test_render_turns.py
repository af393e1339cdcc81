"""Turns and budgets of organizations in the rendering thread."""

import asyncio
import json
import time
from uuid import UUID, uuid4

import pytest

from core.tests.profiling import calls
from executions.models import ExecutionEvent
from live import render_turns, sse
from live.payloads import WITHOUT_TRACES, plain, rendered
from live.reading import LiveEvent
from live.render_turns import RenderTurns

ONE, OTHER = uuid4(), uuid4()


def test_organizations_take_turns_and_viewers_who_left_take_none() -> None:
    order: list[str] = []

    async def scene() -> None:
        turns = RenderTurns()

        def ask(name: str, organization: UUID) -> "asyncio.Task[bytes]":
            def render(seconds: float) -> bytes:
                order.append(name)
                return name.encode()

            return asyncio.create_task(turns.run(organization, render))

        asked = [ask(f"one {number}", ONE) for number in range(4)]
        asked.append(ask("other", OTHER))
        await asyncio.sleep(0)
        asked[2].cancel()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found[4] == b"other"
        turns.close()

    asyncio.run(scene())

    assert order == ["one 0", "one 1", "other", "one 3"]


def test_the_budget_of_an_organization_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_turns, "BUDGET", 0.05)
    monkeypatch.setattr(render_turns, "INTERVAL", 1e9)
    given: list[float] = []

    def render(seconds: float) -> bytes:
        given.append(seconds)
        until = time.thread_time() + 0.06
        while time.thread_time() < until:
            pass
        return b""

    async def scene() -> None:
        turns = RenderTurns()
        for organization in (ONE, ONE, OTHER):
            await turns.run(organization, render)
        turns.close()

    asyncio.run(scene())

    assert given == [0.05, 0.0, 0.05]


def test_without_time_results_stay_text() -> None:
    inputs = json.dumps({"dict": {"name": "value"}})
    events = [
        LiveEvent(1, 1.0, "result", json.dumps({"Markdown": {"body": "**bold**"}})),
        LiveEvent(2, 2.0, "inputs", inputs),
        LiveEvent(3, 3.0, "stdout", "words"),
    ]

    usual, without = (sse.frames(events, rendered, seconds).decode() for seconds in (None, 0.0))

    assert "<strong>bold</strong>" in usual
    assert "name: value" in usual
    assert "<pre>{&quot;Markdown&quot;: {&quot;body&quot;: &quot;**bold**&quot;}}</pre>" in without
    assert inputs in without
    assert "words" in without


LONG = 100_000
EXPENSIVE = {
    "colours": "\x1b[1mx\x1b[0m\x1b[31my" * (LONG // 15),
    "one colour": "\x1b[1m" + "x" * LONG,
    "backspaces": "x\b" * (LONG // 2),
    "overwritten lines": "x\ry\n" * (LONG // 4),
    "Markdown": json.dumps({"Markdown": {"body": "*a* " * (LONG // 5)}}),
    "HTML": json.dumps({"HTML": {"body": "<b>x</b>" * 5_000}}),
    "list": json.dumps({"__list__": [0] * (LONG // 4)}),
    "numbers": json.dumps({"dict": {"all": [0] * (LONG // 4)}}),
    "tasks": json.dumps({"CrewOutput": {"tasks_output": [{"raw": "x"}] * 5_000}}),
    "lines": "x\n" * (LONG // 2),
}


@pytest.mark.parametrize("message", EXPENSIVE.values(), ids=EXPENSIVE)
@pytest.mark.parametrize("kind", ExecutionEvent.Kind.values)
def test_without_time_nothing_takes_work(kind: str, message: str) -> None:
    """Each message is a few calls, however long it is: plain text, escaped."""
    events = [LiveEvent(1, 1.0, kind, message)]
    for payload in (rendered, plain, WITHOUT_TRACES[rendered], WITHOUT_TRACES[plain]):
        sse.frames(events, payload, 0.0)  # imports and compiles what the first one needs

        assert calls(lambda shown=payload: sse.frames(events, shown, 0.0)) < 200
