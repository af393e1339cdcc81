"""What Schemathesis does not know: a format of the document, and a type of body."""

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
