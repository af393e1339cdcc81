"""Parse /metrics: every family has a type and a description."""

import json
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

given = json.load(sys.stdin)
with urllib.request.urlopen(f"{given['url']}/metrics") as answer:
    families = list(text_string_to_metric_families(answer.read().decode()))
assert len(families) > 5
for family in families:
    assert family.type != "unknown" and family.documentation, family.name
names = {family.name for family in families}
assert {"http_requests", "agentidp_token_requests", "agentidp_open_streams"} <= names, names
