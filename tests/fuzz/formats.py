"""Formats and media types of our document that Schemathesis does not know."""

import json
from typing import Any
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies

ZONES = sorted(available_timezones() - {"localtime"})

schemathesis.openapi.format("iana-time-zone", strategies.sampled_from(ZONES))


@schemathesis.serializer("application/x-ndjson")
def one_line(context: Any, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("text/csv", "application/jsonl")
def text(context: Any, response: Any) -> str:
    return response.content.decode()  # type: ignore[no-any-return]
