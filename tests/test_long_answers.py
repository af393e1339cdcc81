"""No answer is streamed in a way that lets its client's pace hold a thread."""

import ast
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
APPS = ("agentidp", "agents", "analytics", "executions", "organizations", "tokens")
HOLDS_A_THREAD = {"StreamingHttpResponse", "FileResponse"}


def test_streamed_answers_are_long_or_live_responses() -> None:
    modules = [
        path
        for app in APPS
        for path in (PROJECT / app).rglob("*.py")
        if "tests" not in path.parts and path != PROJECT / "agentidp" / "bridge.py"
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
