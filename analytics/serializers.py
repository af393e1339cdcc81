"""The shapes of the analytics answers, for the OpenAPI document."""

from rest_framework import serializers


class DayCountSerializer(serializers.Serializer[object]):
    date = serializers.DateField(help_text="A calendar day of the zone.")
    count = serializers.IntegerField(min_value=0)


class TokenTrendSerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField(help_text="`org-` and the organization's UUID.")
    days = serializers.IntegerField(min_value=1, max_value=90)
    data = DayCountSerializer(many=True, help_text="Every day, oldest first.")  # type: ignore[assignment]


class HourCountSerializer(serializers.Serializer[object]):
    dow = serializers.IntegerField(min_value=0, max_value=6, help_text="0 is Sunday.")
    hour = serializers.IntegerField(min_value=0, max_value=23)
    count = serializers.IntegerField(min_value=1)


class AgentActivitySerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField()
    data = HourCountSerializer(many=True, help_text="Cells above zero, by dow, then hour.")  # type: ignore[assignment]


class AgentTokenCountSerializer(serializers.Serializer[object]):
    agentId = serializers.UUIDField()
    tokenCount = serializers.IntegerField(min_value=0)


class AgentUsageSerializer(serializers.Serializer[object]):
    tenantId = serializers.CharField()
    month = serializers.CharField(help_text="YYYY-MM.")
    data = AgentTokenCountSerializer(many=True, help_text="Highest first, then by agentId.")  # type: ignore[assignment]
