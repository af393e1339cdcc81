"""The response bodies of analytics for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from analytics import examples
from analytics.findings.finding import BAD, CODES, WARN, Finding
from core.examples import example


class DayCountSerializer(serializers.Serializer[object]):
    date = serializers.DateField(help_text="A calendar day in the requested time zone.")
    count = serializers.IntegerField(min_value=0)


@example(examples.TOKEN_TREND)
class TokenTrendSerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField(help_text="`org-` and the organization's UUID.")
    days = serializers.IntegerField(min_value=1, max_value=90)
    data = DayCountSerializer(many=True, help_text="One entry for each day, oldest first.")  # type: ignore[assignment]


class HourCountSerializer(serializers.Serializer[object]):
    dow = serializers.IntegerField(min_value=0, max_value=6, help_text="0 is Sunday.")
    hour = serializers.IntegerField(min_value=0, max_value=23)
    count = serializers.IntegerField(min_value=1)


@example(examples.ACTIVITY)
class AgentActivitySerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField()
    data = HourCountSerializer(
        many=True, help_text="Hours with at least one request, sorted by `dow`, then `hour`."
    )  # type: ignore[assignment]


class AgentTokenCountSerializer(serializers.Serializer[object]):
    agentId = serializers.UUIDField()
    tokenCount = serializers.IntegerField(min_value=0)


@example(examples.AGENT_USAGE)
class AgentUsageSerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField()
    month = serializers.CharField(help_text="YYYY-MM.")
    data = AgentTokenCountSerializer(
        many=True, help_text="Sorted by count, highest first, then by `agentId`."
    )  # type: ignore[assignment]


class FindingSerializer(serializers.Serializer[object]):
    code = serializers.ChoiceField(CODES)
    severity = serializers.ChoiceField([BAD, WARN])
    agentId = serializers.UUIDField(allow_null=True)
    agentName = serializers.CharField(allow_blank=True)
    credentialId = serializers.UUIDField(allow_null=True)
    secretHint = serializers.CharField(
        allow_blank=True, help_text="The last characters of the secret."
    )
    dates = serializers.ListField(child=serializers.DateField(), help_text="Days in UTC.")
    numbers = serializers.DictField(help_text="The numbers behind the finding, by name.")
    message = serializers.CharField(help_text="The finding as a sentence.")
    detail = serializers.CharField(allow_blank=True, help_text="What the finding may mean.")
    link = serializers.CharField(help_text="The page that lists the requests behind the finding.")


@example(examples.FINDINGS)
class FindingsSerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField()
    data = FindingSerializer(many=True, help_text="Most severe first.")  # type: ignore[assignment]


TREND_COLUMNS = ("date", "count")
ACTIVITY_COLUMNS = ("dow", "hour", "count")
USAGE_COLUMNS = ("agentId", "agentName", "tokenCount")
"""Of the API. The page's file has had other columns since before the API had one, and people read
both by these names, so neither loses any."""
PAGE_USAGE_COLUMNS = ("agentId", "email", "tokenCount", "month")
FINDING_COLUMNS = (
    *("code", "severity", "agentName", "agentId", "credentialId", "secretHint"),
    *("dates", "message", "detail", "link"),
)


def finding_row(finding: Finding) -> dict[str, Any]:
    """The finding as a row of CSV with the columns FINDING_COLUMNS."""
    body = finding_body(finding)
    return body | {"dates": " ".join(body["dates"])}


def finding_body(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "agentId": str(finding.agent_id) if finding.agent_id else None,
        "agentName": finding.agent_name,
        "credentialId": str(finding.credential_id) if finding.credential_id else None,
        "secretHint": finding.secret_hint,
        "dates": [day.isoformat() for day in finding.dates],
        "numbers": dict(finding.numbers),
        "message": finding.message,
        "detail": finding.detail,
        "link": finding.link,
    }
