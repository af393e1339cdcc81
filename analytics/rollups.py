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
SINCE = "(SELECT tokens_events_since())"
"""The beginning of a month (UTC): whoever drops older events keeps their counts."""
ARE_THERE = f"created_at >= {SINCE}"
SINCE_DATE = f"({SINCE} AT TIME ZONE 'UTC')::date"

ROLLUPS = (
    Rollup(
        "analytics_hourusage",
        EVENTS,
        ORGANIZATION | HOUR,
        COUNTS,
        where=ARE_THERE,
        kept=f"hour >= extract(epoch FROM {SINCE}) / 3600",
    ),
    Rollup(
        "analytics_quarterusage",
        EVENTS,
        ORGANIZATION | QUARTER,
        COUNTS,
        where=ARE_THERE,
        kept=f"quarter >= extract(epoch FROM {SINCE}) / 900",
    ),
    Rollup(
        "analytics_agentdayusage",
        EVENTS,
        ORGANIZATION | DAY | AGENT | CREDENTIAL,
        COUNTS,
        NEWEST,
        where=ARE_THERE,
        kept=f"day >= {SINCE_DATE}",
    ),
    Rollup(
        "analytics_agentmonthusage",
        EVENTS,
        ORGANIZATION | MONTH | AGENT,
        COUNTS,
        NEWEST,
        where=ARE_THERE,
        kept=f"month >= {SINCE_DATE}",
    ),
)
