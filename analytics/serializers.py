"""The response bodies of analytics for the OpenAPI document."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from analytics import examples
from analytics.findings.codes import BAD, CODES, WARN
from analytics.findings.finding import Finding
from analytics.requests.breakdown import Breakdown
from analytics.requests.filters import LISTS
from analytics.requests.rankings import RankedValue
from core.examples import example
from tokens.models import TokenEvent


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
    snoozedUntil = serializers.DateTimeField(
        allow_null=True,
        help_text="Until then the pages list it only as snoozed; null if it is not snoozed.",
    )
    snoozeReason = serializers.CharField(
        allow_blank=True, help_text="Why a person snoozed it; empty if it is not snoozed."
    )


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


class BucketSerializer(serializers.Serializer[object]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    issued = serializers.IntegerField(min_value=0)
    refused = serializers.IntegerField(min_value=0)
    introspected = serializers.IntegerField(min_value=0)
    revoked = serializers.IntegerField(min_value=0)


class RankedValueSerializer(serializers.Serializer[object]):
    value = serializers.CharField(
        allow_blank=True, help_text="As the filter expects it; empty if there is none."
    )
    name = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField(min_value=0)
    previousCount = serializers.IntegerField(
        min_value=0, allow_null=True, help_text="`null` if it is not known."
    )


class SpanSerializer(serializers.Serializer[object]):
    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateTimeField(), "to": serializers.DateTimeField()}


@example(examples.REQUESTS)
class RequestsSerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField()
    step = serializers.ChoiceField(["hour", "day", "month"])
    comparedFrom = serializers.DateTimeField(
        help_text="When the window before began: it is of equal length and has the same weekdays. "
        "While this window is not over, that one ends at the same time of the day."
    )
    countedSince = serializers.DateTimeField(
        allow_null=True,
        help_text="Some numbers count only later requests, because there are too many; `null` if "
        "all numbers count the whole window.",
    )
    total = serializers.IntegerField(min_value=0, help_text="The requests that match.")
    data = BucketSerializer(many=True, help_text="Oldest first.")  # type: ignore[assignment]
    agents = RankedValueSerializer(many=True, help_text="Most requests first, as in all lists.")
    secrets = RankedValueSerializer(many=True)
    addresses = RankedValueSerializer(many=True)
    outcomes = RankedValueSerializer(many=True, help_text="Issued tokens, and refusals by reason.")

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | SpanSerializer().get_fields()


BREAKDOWN_COLUMNS = ("list", "value", "name", "count", "previousCount")
ANSWERED_VALUES = 100
"""Values of each list in an answer."""


def breakdown_body(found: Breakdown) -> dict[str, Any]:
    return {
        "from": written(found.window.start),
        "to": written(found.window.end),
        "step": found.window.step,
        "comparedFrom": written(found.window.previous.start),
        "countedSince": found.since and written(found.since),
        "total": found.count(),
        "data": [
            {
                "start": written(bucket.start),
                "end": written(bucket.end),
                **{name: bucket.by_outcome.get(name, 0) for name in TokenEvent.Outcome.values},
            }
            for bucket in found.buckets
        ],
        **{name: list(map(_value, _shown(found, name))) for name in LISTS},
    }


def breakdown_rows(found: Breakdown) -> list[dict[str, Any]]:
    """The breakdown as rows of CSV with the columns BREAKDOWN_COLUMNS."""
    rows: list[dict[str, Any]] = [
        {
            "list": found.window.step,
            "value": written(bucket.start),
            "name": outcome,
            "count": bucket.by_outcome.get(outcome, 0),
        }
        for bucket in found.buckets
        for outcome in found.filters.outcomes
    ]
    for name in LISTS:
        rows += [{"list": name, **_value(value)} for value in _shown(found, name)]
    return rows


def _shown(found: Breakdown, name: str) -> Sequence[RankedValue]:
    return found.rankings[name].values[:ANSWERED_VALUES]


def _value(value: RankedValue) -> dict[str, Any]:
    return {
        "value": value.key,
        "name": value.label,
        "count": value.count,
        "previousCount": value.before,
    }


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


FINDING_COLUMNS = (
    *("code", "severity", "agentName", "agentId", "credentialId", "secretHint"),
    *("dates", "message", "detail", "link", "snoozedUntil", "snoozeReason"),
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
        "snoozedUntil": written(finding.snooze.until) if finding.snooze else None,
        "snoozeReason": finding.snooze.reason if finding.snooze else "",
    }
