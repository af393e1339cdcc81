"""URLs of the analytics API."""

from django.urls import path

from analytics.api import AnalyticsViewSet

api = [
    path("analytics/tokens", AnalyticsViewSet.as_view({"get": "tokens"}), name="analytics-tokens"),
    path("analytics/agents", AnalyticsViewSet.as_view({"get": "agents"}), name="analytics-agents"),
    path(
        "analytics/agents/activity",
        AnalyticsViewSet.as_view({"get": "activity"}),
        name="analytics-activity",
    ),
    path(
        "analytics/findings",
        AnalyticsViewSet.as_view({"get": "findings"}),
        name="analytics-findings",
    ),
    path(
        "analytics/requests",
        AnalyticsViewSet.as_view({"get": "requests"}),
        name="analytics-requests",
    ),
]
