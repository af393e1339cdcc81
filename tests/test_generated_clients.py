"""Generators of clients find everything in the OpenAPI document under a name of its own.

openapi-python-client and others leave out, with no more than a warning, an operation whose names
collide or whose content type they do not know. `make clients` runs real ones; this needs none.
"""

import json
import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from agentidp.env import BASE_DIR
from tests.routes import names_in, openapi_document

Named = tuple[str, dict[str, Any]]
BODIES = {
    *("application/json", "application/octet-stream"),
    *("application/x-www-form-urlencoded", "multipart/form-data"),
}
RESPONSES = re.compile(r"text/.+|application/(json|octet-stream)")


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in openapi_document()["paths"].items():
        for operation in found.values():
            yield path, operation


def words(name: str) -> str:
    """The name in snake case, as Python clients write it."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower()


def joined(name: str) -> str:
    """The name without any separator: equal names would be one class, or one file on a Mac."""
    return words(name).replace("_", "")


def repeated(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def classes_in(name: str, schema: dict[str, Any]) -> Iterator[Named]:
    """The objects and enumerations that become classes, inner ones named after their place."""
    if "enum" in schema or schema.get("properties"):
        yield name, schema
    for field, inner in schema.get("properties", {}).items():
        yield from classes_in(f"{name}_{field}", inner)
    for field in ("items", "additionalProperties"):
        if isinstance(schema.get(field), dict):
            yield from classes_in(f"{name}_{field}", schema[field])
    for kind in ("allOf", "anyOf", "oneOf"):
        for number, inner in enumerate(schema.get(kind, ())):
            yield from classes_in(f"{name}_type_{number}", inner)


def contents_of(operation: dict[str, Any]) -> Iterator[Named]:
    """The content of each body and response, with the name that it gives to an inner schema."""
    name = operation["operationId"]
    yield f"{name}_body", operation.get("requestBody", {}).get("content", {})
    for status, response in operation["responses"].items():
        yield f"{name}_response_{status}", response.get("content", {})


def classes() -> Iterator[Named]:
    for name, schema in openapi_document()["components"]["schemas"].items():
        yield from classes_in(name, schema)
    for _, operation in operations():
        for parameter in operation.get("parameters", ()):
            name = f"{operation['operationId']}_{parameter['name']}"
            yield from classes_in(name, parameter["schema"])
        for name, content in contents_of(operation):
            for media_type, media in content.items():
                kind = media_type if len(content) > 1 else ""
                yield from classes_in(f"{name}_{kind}", media["schema"])


def test_every_operation_becomes_a_function_of_its_own() -> None:
    names = [operation["operationId"] for _, operation in operations()]

    assert len(names) > 80
    assert repeated(map(joined, names)) == set()
    assert [name for name in names if keyword.iskeyword(name) or not name.isidentifier()] == []


def test_every_parameter_becomes_an_argument_of_its_own() -> None:
    for path, operation in operations():
        parameters = operation.get("parameters", [])
        in_path = [each for each in parameters if each["in"] == "path"]

        assert repeated(words(each["name"]) for each in parameters) == set(), operation
        assert {each["name"] for each in in_path} == set(names_in(path)), operation
        assert all(each["required"] for each in in_path), operation


def test_every_schema_becomes_a_class_of_its_own_with_distinct_fields_and_members() -> None:
    found = list(classes())

    assert len(found) > 100
    assert repeated(joined(name) for name, _ in found) == set()
    for name, schema in found:
        assert repeated(map(words, schema.get("properties", {}))) == set(), name
        values = [value for value in schema.get("enum", ()) if value not in {None, ""}]
        assert len({type(value) for value in values}) <= 1, name
        assert repeated(words(str(value)) for value in values) == set(), name


def test_generators_know_every_content_type_or_the_documentation_maps_it() -> None:
    page = (BASE_DIR / "docs" / "reference" / "clients.md").read_text()
    example = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert example
    known_as: dict[str, str] = json.loads(example[1])["content_type_overrides"]

    bodies, responses = set(), set()
    for _, operation in operations():
        bodies |= operation.get("requestBody", {}).get("content", {}).keys()
        for response in operation["responses"].values():
            responses |= response.get("content", {}).keys()

    assert {each for each in bodies if known_as.get(each, each) not in BODIES} == set()
    assert {
        each for each in responses if not RESPONSES.fullmatch(known_as.get(each, each))
    } == set()
    assert known_as.keys() <= bodies | responses
