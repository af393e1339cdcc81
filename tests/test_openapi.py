"""The OpenAPI document is written for users of the API. `make schema-check` validates its form
with two independent validators; these tests check its texts.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from agentidp.devtools.routes import paths
from conftest import ClientFor
from core.operation_names import SUMMARIES
from tests.routes import openapi_document
from tests.tenants import Tenant

# Words that require knowledge of our code, or of Python.
INTERNAL = re.compile(
    r"\b(serializers?|view ?sets?|views?|querysets?|models?|mixins?|decorators?|docstrings?|"
    r"classe?s|subclass\w*|fields? class|None|True|False|self|kwargs|Django|REST framework|RLS|"
    r"TODO|\w+(Serializer|ViewSet|View|Field|Renderer|Parser))\b"
)


def texts_in(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each description and summary in the document with its location."""
    items = enumerate(node) if isinstance(node, list) else node.items()
    for name, inner in items:
        if isinstance(inner, dict | list):
            yield from texts_in(inner, f"{place}/{name}")
        elif name in {"description", "summary"} and isinstance(inner, str):
            yield f"{place}/{name}", inner


def test_no_sentence_in_it_is_about_our_code() -> None:
    document = openapi_document()
    views = {view.cls for _, view in paths() if hasattr(view, "cls")}
    docstrings = {inspect.getdoc(each) for view in views for each in view.__mro__}

    texts = dict(texts_in(document))

    assert len(texts) > 500
    assert {place: text for place, text in texts.items() if INTERNAL.search(text)} == {}
    assert {place: text for place, text in texts.items() if text in docstrings} == {}


def test_every_operation_has_its_own_name_and_a_line_that_begins_with_a_verb() -> None:
    operations = {
        f"{method.upper()} {path}": operation
        for path, found in openapi_document()["paths"].items()
        for method, operation in found.items()
    }
    names = [operation["operationId"] for operation in operations.values()]

    assert operations.keys() == SUMMARIES.keys()
    assert len(names) == len(set(names))
    for each, operation in operations.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]), each
        assert re.fullmatch(r"[A-Z][a-z]+,? .{1,50}[a-zA-Z]", operation["summary"]), each
        assert operation["security"], each


# Python-only syntax, which JSON Schema and other languages lack: flags, names, \A and \Z.
OF_PYTHON = re.compile(r"\(\?(?![:=!]|<[=!])|\\[AZ]")


def patterns_in(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in enumerate(node) if isinstance(node, list) else node.items():
        if isinstance(inner, dict | list):
            yield from patterns_in(inner, f"{place}/{name}")
        elif name == "pattern" and isinstance(inner, str):
            yield f"{place}/{name}", inner


def test_patterns_are_those_of_every_language() -> None:
    found = dict(patterns_in(openapi_document()))

    assert len(found) > 20
    assert {place: pattern for place, pattern in found.items() if OF_PYTHON.search(pattern)} == {}


def test_reads_whose_number_is_limited_say_so(ours: Tenant, client_for: ClientFor) -> None:
    client = client_for(ours.person("owner"))
    limited = {
        path
        for path, operations in openapi_document()["paths"].items()
        if "429" in operations.get("get", {}).get("responses", {})
    }

    verified = [client.get("/api/v1/audit/verify").status_code for _ in range(31)]

    assert verified == [200] * 30 + [429]
    assert limited == {
        "/api/v1/audit/verify",
        *("/timeline", "/timeline/list", "/timeline/changes"),
        *(f"/outputs/{name}/{{fid}}" for name in ("status", "raw", "html")),
        *(f"/outputs/{name}/{{fid}}" for name in ("stream", "main", "stdio")),
    }


def test_an_answer_that_may_take_a_minute_says_so() -> None:
    waiting = {
        f"{method.upper()} {path}": parameter["description"]
        for path, operations in openapi_document()["paths"].items()
        for method, operation in operations.items()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "extended"
    }

    assert settings.WAIT_FOR_JOB_SECONDS == 60
    assert len(waiting) >= 6
    assert {each for each, words in waiting.items() if "up to a minute" not in words} == set()
