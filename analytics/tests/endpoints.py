"""The analytics endpoints, and the day on which tests ask them."""

from datetime import UTC, datetime

NOW = datetime(2026, 4, 4, 9, 30, tzinfo=UTC)  # a Saturday
TREND, ACTIVITY, USAGE = (
    "/api/v1/analytics/tokens",
    "/api/v1/analytics/agents/activity",
    "/api/v1/analytics/agents",
)
ENDPOINTS = [TREND, ACTIVITY, USAGE]
