from typing import Any

import django_filters
from django.db.models import QuerySet

from core.filters import FormedTextFilter, StrictFilterSet, parse_moment
from executions.filters import containing, tagged
from executions.models import Execution


class ExecutionFilter(StrictFilterSet):
    status = django_filters.ChoiceFilter(choices=Execution.Status.choices)
    agentId = django_filters.UUIDFilter(field_name="agent_id")
    fromDate = FormedTextFilter(
        method="narrow_to_start",
        max_length=40,
        help_text="Started on or after this day or instant.",
    )
    toDate = FormedTextFilter(
        method="narrow_to_end",
        max_length=40,
        help_text="Started by the end of this day, or by this instant.",
    )
    search = django_filters.CharFilter(
        method="narrow_to_text",
        max_length=128,
        help_text=(
            "Part of the id, summary, a tag, the status, the error, or the name or id of "
            "the agent or person. Case does not matter."
        ),
    )
    tag = django_filters.CharFilter(
        method="narrow_to_tag",
        max_length=64,
        help_text="A whole tag. Case does not matter.",
    )
    order = django_filters.ChoiceFilter(
        choices=[("started", "started"), ("reported", "reported")],
        method="put_in_order",
        help_text=(
            "The default is `started`, where a queued run moves when it starts. With "
            "`reported` every run keeps its place while you read page by page."
        ),
    )

    def narrow_to_start(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        moment, _ = parse_moment(text, name)
        return queryset.filter(start_time__gte=moment.timestamp())

    def narrow_to_end(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        moment, is_day = parse_moment(text, name)
        if is_day:
            return queryset.filter(start_time__lt=moment.timestamp() + 24 * 3600)
        return queryset.filter(start_time__lte=moment.timestamp())

    def narrow_to_text(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        return queryset.filter(containing(text))

    def narrow_to_tag(self, queryset: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        return queryset.filter(tagged((text,)))

    def put_in_order(self, queryset: QuerySet[Any], name: str, order: str) -> QuerySet[Any]:
        return queryset.order_by("-id") if order == "reported" else queryset

    class Meta:
        model = Execution
        fields = ["status", "agentId", "fromDate", "toDate", "search", "tag", "order"]
