"""Validate the OpenAPI document that the server serves."""

import json
import sys

from openapi_spec_validator import validate

given = json.load(sys.stdin)
with open(given["schema"], encoding="utf-8") as file:
    validate(json.load(file))
