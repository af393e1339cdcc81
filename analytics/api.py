"""GET /api/v1/analytics/…: for any bearer in an organization; 404 while analytics is off."""

from typing import Any

from django.conf import settings
from django.http import Http404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from agents.models import Agent
from analytics import examples, queries
from analytics.parameters import Parameters
from analytics.periods import MAX_DAYS, Period
from analytics.records import findings_of
from analytics.serializers import (
    ACTIVITY_COLUMNS,
    FINDING_COLUMNS,
    TREND_COLUMNS,
    USAGE_COLUMNS,
    AgentActivitySerializer,
    AgentUsageSerializer,
    FindingsSerializer,
    TokenTrendSerializer,
    finding_body,
    finding_row,
)
from core.csv_files import FORMATS, CsvRenderer, CsvResponses
from core.examples import example_response
from organizations.api.viewsets import OrganizationScopedViewSet


def _parameter(name: str, description: str, kind: Any = str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **more)


DAYS = _parameter(
    "days",
    "The number of days, today included.",
    {"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": 30},
)
TZ = _parameter("tz", "The IANA time zone of days and hours.", default="UTC")
OUTCOME = _parameter("outcome", "Which token requests to count.", enum=["issued", "refused", "all"])
AGENT = _parameter("agentId", "Only this agent.", OpenApiTypes.UUID)
CREDENTIAL = _parameter("credentialId", "Only this credential.", OpenApiTypes.UUID)
MONTH = _parameter("month", "YYYY-MM; the current month by default.")
IDLE = _parameter("includeIdle", "Include agents without tokens.", bool, default=False)
FORMAT = _parameter(
    "format", "The response format, as an alternative to the `Accept` header.", enum=list(FORMATS)
)
GONE = OpenApiResponse(
    OpenApiTypes.OBJECT,
    description="Analytics is disabled, or there is no such agent or credential.",
)


def described(serializer: type, *parameters: OpenApiParameter, description: str, csv: str) -> Any:
    """Describe the operation in the OpenAPI document with every status; `csv` is an example of
    its CSV.
    """
    return extend_schema(
        description=description,
        tags=["Analytics"],
        parameters=[*parameters, FORMAT],
        responses={
            (200, "application/json"): serializer,
            (200, "text/csv"): example_response(OpenApiTypes.STR, csv),
            404: GONE,
        },
    )


class AnalyticsViewSet(CsvResponses, OrganizationScopedViewSet):
    """What the organization's agents do with tokens."""

    required_scopes = {"tokens": (), "activity": (), "agents": (), "findings": ()}
    query_parameters = {
        **dict.fromkeys(
            ("tokens", "activity"), ("days", "tz", "outcome", "agentId", "credentialId", "format")
        ),
        "agents": ("month", "tz", "includeIdle", "format"),
        "findings": ("format",),
    }
    filter_backends = []
    pagination_class = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not settings.ANALYTICS_ENABLED:
            raise Http404
        super().initial(request, *args, **kwargs)

    @described(
        TokenTrendSerializer,
        *(DAYS, TZ, OUTCOME, AGENT, CREDENTIAL),
        description="Tokens issued, or requests refused, per day.",
        csv=examples.CSV_OF_TREND,
    )
    def tokens(self, request: Request) -> Response:
        parameters = Parameters.read(request.query_params)
        period = parameters.period(days=30)
        metric = parameters.metric(default="issued")
        narrowing = parameters.narrowing(self.organization)
        days = queries.count_by_day(self.organization, period, metric, narrowing)
        self._name_file(f"{metric.key}-per-day", period, *TREND_COLUMNS)
        return self._respond(
            {"days": len(days)},
            [{"date": day.date.isoformat(), "count": day.count} for day in days],
        )

    @described(
        AgentActivitySerializer,
        *(DAYS, TZ, OUTCOME, AGENT, CREDENTIAL),
        description="Token requests in each hour of the week.",
        csv=examples.CSV_OF_ACTIVITY,
    )
    def activity(self, request: Request) -> Response:
        parameters = Parameters.read(request.query_params)
        period = parameters.period(days=30)
        metric = parameters.metric(default="all")
        narrowing = parameters.narrowing(self.organization)
        cells = queries.count_by_hour_of_week(self.organization, period, metric, narrowing)
        self._name_file(f"{metric.key}-by-hour", period, *ACTIVITY_COLUMNS)
        return self._respond(
            {},
            [{"dow": cell.dow, "hour": cell.hour, "count": cell.count} for cell in cells],
        )

    @described(
        AgentUsageSerializer,
        MONTH,
        TZ,
        IDLE,
        description="Tokens issued to each agent in a month.",
        csv=examples.CSV_OF_USAGE,
    )
    def agents(self, request: Request) -> Response:
        parameters = Parameters.read(request.query_params)
        period = parameters.month()
        include_idle = parameters.flag("includeIdle")
        agents = queries.count_by_agent(self.organization, period, include_idle=include_idle)
        self._name_file("tokens-per-agent", period, *USAGE_COLUMNS)
        rows = [{"agentId": str(agent.agent_id), "tokenCount": agent.count} for agent in agents]
        if isinstance(request.accepted_renderer, CsvRenderer):
            self._add_names(rows)
        return self._respond({"month": f"{period.first:%Y-%m}"}, rows)

    @described(
        FindingsSerializer,
        description=("Findings that deserve attention, with their numbers, most severe first."),
        csv=examples.CSV_OF_FINDINGS,
    )
    def findings(self, request: Request) -> Response:
        Parameters.read(request.query_params)
        found = findings_of(self.organization)
        self.csv_name = f"findings-{timezone.now():%Y-%m-%d}"
        self.csv_columns = FINDING_COLUMNS
        is_csv = isinstance(request.accepted_renderer, CsvRenderer)
        return self._respond({}, list(map(finding_row if is_csv else finding_body, found)))

    def _respond(self, more: dict[str, Any], rows: list[dict[str, Any]]) -> Response:
        return Response({"tenantId": self.organization.public_id, **more, "data": rows})

    def _name_file(self, what: str, period: Period, *columns: str) -> None:
        self.csv_columns = columns
        self.csv_name = f"{what}-{period.first}-to-{period.last}"

    def _add_names(self, rows: list[dict[str, Any]]) -> None:
        agents = Agent.objects.for_organization(self.organization).only("id", "email")
        names = {str(agent.pk): agent.name for agent in agents}
        for row in rows:
            row["agentName"] = names.get(row["agentId"], "")
