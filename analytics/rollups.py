"""What is counted of token events; core/rollups.py explains how."""

from analytics.models import NOBODY
from core.rollups import Rollup

OUTCOMES = ("issued", "refused", "introspected", "revoked")
COUNTS = {name: f"coalesce(sum(times) FILTER (WHERE outcome = '{name}'), 0)" for name in OUTCOMES}
NEWEST = {"last_at": "max(created_at)"}
ORGANIZATION = {"organization_id": "organization_id"}
AGENT = {"agent_id": f"coalesce(agent_id, '{NOBODY}')"}
CREDENTIAL = {"credential_id": f"coalesce(credential_id, '{NOBODY}')"}
HOUR = {"hour": "floor(extract(epoch FROM created_at) / 3600)::integer"}
QUARTER = {"quarter": "floor(extract(epoch FROM created_at) / 900)::integer"}
DAY = {"day": "(created_at AT TIME ZONE 'UTC')::date"}
MONTH = {"month": "date_trunc('month', created_at AT TIME ZONE 'UTC')::date"}
SECRET_OF_A_DAY = ORGANIZATION | DAY | AGENT | CREDENTIAL
EVENTS = "tokens_tokenevent"

ROLLUPS = (
    Rollup("analytics_hourusage", EVENTS, ORGANIZATION | HOUR, COUNTS),
    Rollup("analytics_quarterusage", EVENTS, ORGANIZATION | QUARTER, COUNTS),
    Rollup(
        "analytics_agentdayusage", EVENTS, ORGANIZATION | DAY | AGENT | CREDENTIAL, COUNTS, NEWEST
    ),
    Rollup("analytics_agentmonthusage", EVENTS, ORGANIZATION | MONTH | AGENT, COUNTS, NEWEST),
)
