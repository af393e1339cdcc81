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
from analytics.periods import MAX_DAYS, Period, parse_zone
from analytics.records import findings_of
from analytics.requests import parameters as request_parameters
from analytics.requests.breakdown import break_down
from analytics.requests.filters import ID, SECRET
from analytics.requests.rows import MAX_ROWS
from analytics.requests.window import Window
from analytics.serializers import (
    ACTIVITY_COLUMNS,
    BREAKDOWN_COLUMNS,
    FINDING_COLUMNS,
    TREND_COLUMNS,
    USAGE_COLUMNS,
    AgentActivitySerializer,
    AgentUsageSerializer,
    FindingsSerializer,
    RequestsSerializer,
    TokenTrendSerializer,
    breakdown_body,
    breakdown_rows,
    finding_body,
    finding_row,
)
from core.csv_files import FORMATS, CsvRenderer, CsvResponses
from core.examples import example_response
from organizations.api.viewsets import OrganizationScopedViewSet
from tokens.models import MAX_IDENTIFIER_LENGTH, TokenEvent


def _parameter(name: str, description: str, kind: Any = str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **more)


def _pattern(form: str) -> dict[str, str]:
    return {"type": "string", "pattern": f"^{form}$"}


def _list_of(form: str) -> dict[str, str]:
    return _pattern(f"({form})(,({form})){{0,{request_parameters.MAX_EXCLUDED - 1}}}")


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
HOW_NAMED = "a credential's id or, with a colon and the end of a secret, one of its secrets"
REQUESTS_PARAMETERS = (
    _parameter(
        "days",
        "The number of days, today included, in place of `from` and `to`.",
        {"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": 7},
    ),
    _parameter("from", "A date or a time, inclusive."),
    _parameter("to", "A date, inclusive, or a time, exclusive; by default the end of today."),
    TZ,
    _parameter(
        "outcome",
        "Which token events to count; `all` are the issued and the refused.",
        enum=request_parameters.OUTCOMES,
        default=request_parameters.ALL,
    ),
    _parameter("reason", "Only refusals for this reason.", enum=TokenEvent.Reason.values),
    AGENT,
    _parameter("secret", f"Only this secret: {HOW_NAMED}.", _pattern(SECRET)),
    _parameter(
        "address",
        "Only from this IP address.",
        {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    ),
    _parameter(
        "resource",
        "Only tokens for the resource with this identifier.",
        {"type": "string", "maxLength": MAX_IDENTIFIER_LENGTH},
    ),
    _parameter(
        "dow",
        "Only this day of the week; 0 is Sunday.",
        {"type": "integer", "minimum": 0, "maximum": 6},
    ),
    _parameter("hour", "Only this hour.", {"type": "integer", "minimum": 0, "maximum": 23}),
    _parameter(
        "notReason",
        "Without refusals for these reasons, separated by commas.",
        _list_of("|".join(TokenEvent.Reason.values)),
    ),
    _parameter("notAgentId", "Without these agents, separated by commas.", _list_of(ID)),
    _parameter(
        "notSecret",
        f"Without these secrets, separated by commas, each {HOW_NAMED}.",
        _list_of(SECRET),
    ),
    _parameter("notAddress", "Without these IP addresses, separated by commas."),
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

    required_scopes = {
        **dict.fromkeys(("tokens", "activity", "agents", "findings"), ()),
        "requests": ("agents:read",),
    }
    query_parameters = {
        **dict.fromkeys(
            ("tokens", "activity"), ("days", "tz", "outcome", "agentId", "credentialId", "format")
        ),
        "agents": ("month", "tz", "includeIdle", "format"),
        "findings": ("format",),
        "requests": (*request_parameters.WINDOW, *request_parameters.FILTERS, "format"),
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

    @described(
        RequestsSerializer,
        *REQUESTS_PARAMETERS,
        description=(
            "Token requests by hour (up to two days), by day or by month, and what they have in "
            "common: agents, secrets, addresses, and outcomes with the reasons of refusals, each "
            "with its number in the window before. Each list ignores its own filters. Of a window "
            f"with more than {MAX_ROWS:,} requests, lists and filters that the hourly and daily "
            "counts do not answer count the newest ones; `countedSince` says since when."
        ),
        csv=examples.CSV_OF_REQUESTS,
    )
    def requests(self, request: Request) -> Response:
        parameters = Parameters.read(request.query_params)
        zone = parse_zone(parameters.values.get("tz", "UTC"))
        window = Window.read(parameters.values, zone, timezone.now())
        filters = request_parameters.read_filters(parameters, self.organization)
        found = break_down(self.organization, window, filters)
        self.csv_columns = BREAKDOWN_COLUMNS
        self.csv_name = f"requests-{window.start.astimezone(zone):%Y-%m-%d}"
        if isinstance(request.accepted_renderer, CsvRenderer):
            return self._respond({}, breakdown_rows(found))
        return Response({"tenantId": self.organization.public_id, **breakdown_body(found)})

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
