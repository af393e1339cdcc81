"""GET /api/dashboard/…: executions, errors and statistics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from core.csv_files import FORMATS, CsvRenderer, CsvResponses, csv_line
from core.fast_path.responses import LongResponse
from core.keyset import Keyset
from core.pagination import Found, Slice
from core.renderers import JSONRenderer
from executions import queries
from executions.filters import NAMES, REPEATABLE, Filters, read_hours, refuse_format
from executions.models import (
    Execution,
    ExecutionEvent,
    ExecutionFile,
    ExecutionNotFound,
    now,
    sees_all,
)
from executions.queries import StateFilter
from organizations.actors import Scope
from panel import examples
from panel.base import PanelViewSet
from panel.dashboard_bodies import (
    ERROR_COLUMNS,
    EXECUTION_COLUMNS,
    agent_body,
    error_body,
    error_group_body,
    error_groups_body,
    event_body,
    execution_body,
    execution_row,
    files_body,
    statistics_body,
)
from panel.dashboard_parameters import (
    FID,
    described,
    filter_parameters,
    paging_parameters,
    parameter,
    state_parameters,
)
from panel.dashboard_serializers import (
    DashboardDetailsSerializer,
    DashboardFilesSerializer,
    DashboardStatisticsSerializer,
    DashboardTimelineSerializer,
    ErrorGroupsSerializer,
    ErrorsSerializer,
    RunningAgentsSerializer,
)

DEFAULT_HOURS = 24
MAX_ROWS = 1000
"""kodosumi's page sends no limit and counts the rows it gets, so the default is the maximum."""
DEFAULT_ERRORS = 100
MAX_GROUPS = 100
MAX_PARTS = 10_000
"""Events or files of one execution in one response."""
MAX_BYTES = 16 * 1024**2
"""Bytes of all messages in one response; a page that would exceed it is shorter than its limit."""
MAX_LIST_BYTES = 8 * 1024**2
"""Bytes of all descriptions in a list of executions, which is shorter as well. A process makes
several at a time: they take several times as much memory.
"""
PAGING = frozenset({"limit", "offset", "cursor", "format"})
PARTS = ("limit", "offset", "cursor")
NEWEST = Keyset.by("-start_time", "-pk")
OLDEST = Keyset.by("start_time", "pk")
NEWEST_ERRORS = Keyset.by("-timestamp", "-pk")
LAST_SEEN = Keyset.by("-last_seen", "fingerprint")
IN_TIME = Keyset.by("timestamp", "sequence")
BY_PATH = Keyset.by("area", "path")
READ = (Scope.EXECUTIONS_READ,)
CSV_OF_EXECUTIONS = (
    *("fid", "agent_name", "user_id", "user_name", "status", "start_time", "end_time", "runtime"),
    *("upload_count", "download_count", "error", "error_timestamp", "summary", "tags"),
)
CSV_OF_ERRORS = (
    *("fid", "agent_name", "user_id", "user_name", "timestamp", "error_type", "message"),
    "fingerprint",
)
CSV_OF_GROUPS = (
    *("fingerprint", "error_type", "message", "agent_names", "count", "executions", "users"),
    *("first_seen", "last_seen", "state", "resolved_at", "resolved_by", "note"),
)


class DashboardViewSet(CsvResponses, PanelViewSet):
    """Operators see the organization's executions, everyone else their own.

    As CSV, a list has all matching rows unless the query has a `limit`, an `offset` or a `cursor`.
    """

    queryset = PanelViewSet.queryset.without_content()
    required_scopes = {
        "running_agents": READ,
        "errors": READ,
        "error_groups": READ,
        "timeline": READ,
        "agent_stats": READ,
        "details": READ,
        "files": READ,
    }
    query_parameters = {
        "running_agents": (*NAMES, *PAGING),
        "errors": (*NAMES, *PAGING, "fingerprint"),
        "error_groups": (*NAMES, *PAGING, queries.STATE, queries.NOT_STATE),
        "timeline": (*NAMES, *PAGING),
        "agent_stats": NAMES,
        "details": PARTS,
        "files": PARTS,
    }
    repeatable_parameters = REPEATABLE | {queries.STATE, queries.NOT_STATE}
    filter_backends = []
    pagination_class = None

    def get_renderers(self) -> list[Any]:
        is_list = self.action in {"running_agents", "errors", "error_groups", "timeline"}
        return super().get_renderers() if is_list else [JSONRenderer()]

    @described(
        RunningAgentsSerializer,
        *filter_parameters(DEFAULT_HOURS),
        *paging_parameters(MAX_ROWS, MAX_ROWS),
        csv=examples.CSV_OF_EXECUTIONS,
    )
    def running_agents(self, request: Request) -> HttpResponseBase:
        """List executions, newest first.

        With `hours`: those that started or ended in the last hours, and all live ones, whenever
        they started. With `from` and `to`: those that started in that window. A response has at
        most 8 MiB of descriptions; `limit` then says how many executions it has.
        """
        filters, asked = self._read(MAX_ROWS)
        rows = self._executions(filters)
        if self._wants_csv:
            return self._file("executions", CSV_OF_EXECUTIONS, rows, execution_row, asked, NEWEST)
        page = self._page(rows, asked, NEWEST)
        total = page.total(lambda: queries.count(self.organization, self.actor, filters))
        query = request.query_params
        names = ("agent_name", "user", "status", "search", "tag")
        given = {"hours": self._hours, **{name: _given(query, name) for name in names}}
        agents = list(map(agent_body, page.rows))
        return Response(
            {"total": total, "agents": agents, "filters": given, **page.body}, headers=page.headers
        )

    @described(
        ErrorsSerializer,
        *filter_parameters(DEFAULT_HOURS),
        parameter("fingerprint", "The fingerprint of an error group, to list only its errors."),
        *paging_parameters(DEFAULT_ERRORS, MAX_ROWS),
        csv=examples.CSV_OF_ERRORS,
    )
    def errors(self, request: Request) -> HttpResponseBase:
        """List the errors emitted in the window, newest first.

        A response has at most 16 MiB of their texts; `limit` then says how many errors it has.
        """
        filters, asked = self._read(DEFAULT_ERRORS)
        errors = queries.errors(self.organization, self.actor, filters)
        rows = errors.values_list(*ERROR_COLUMNS, named=True)
        if self._wants_csv:
            return self._file("errors", CSV_OF_ERRORS, rows, error_body, asked, NEWEST_ERRORS)
        if sees_all(self.actor):
            longest = min(queries.MAX_TEXT_LENGTH, MAX_BYTES // asked.limit)
            with_texts = queries.with_texts(errors, longest)
            rows = with_texts.values_list(*ERROR_COLUMNS, "text", named=True)
            page = asked.page_of_bytes(rows, NEWEST_ERRORS, MAX_BYTES, _bytes_of_text)
        else:
            page = asked.page(rows, NEWEST_ERRORS)
        total = page.total(lambda: queries.count_errors(self.organization, self.actor, filters))
        shown = list(map(error_body, page.rows))
        return Response({"total": total, "errors": shown, **page.body}, headers=page.headers)

    @described(
        ErrorGroupsSerializer,
        *filter_parameters(DEFAULT_HOURS),
        *state_parameters(),
        *paging_parameters(MAX_GROUPS, MAX_GROUPS),
        csv=examples.CSV_OF_GROUPS,
    )
    def error_groups(self, request: Request) -> HttpResponseBase:
        """List the errors of the window in groups with the same words, ignoring numbers, ids and
        quoted names, across all agents.
        """
        filters, asked = self._read(MAX_GROUPS, MAX_GROUPS)
        states = StateFilter.read(request.query_params)
        pages: list[Found] = []

        def choose(groups: QuerySet[Any], total: int) -> list[dict[str, Any]]:
            pages.append(asked.page(groups, LAST_SEEN))
            return pages[0].rows

        # Later errors would move their group while a client pages, which would then miss it.
        until = asked.moment if asked.cursor else None
        groups = queries.error_groups(
            self.organization, self.actor, filters, states=states, choose=choose, until=until
        )
        page = pages[0]
        if self._wants_csv:
            bodies = [error_group_body(group) for group in groups.rows]
            rows = [body | {"agent_names": ", ".join(body["agent_names"])} for body in bodies]
            lines = [csv_line(row[column] for column in CSV_OF_GROUPS) for row in rows]
            return self._csv("error-groups", CSV_OF_GROUPS, lines, page.headers)
        return Response({**error_groups_body(groups), **page.body}, headers=page.headers)

    @described(
        DashboardTimelineSerializer,
        *filter_parameters(DEFAULT_HOURS),
        *paging_parameters(MAX_ROWS, MAX_ROWS),
        csv=examples.CSV_OF_EXECUTIONS,
    )
    def timeline(self, request: Request) -> HttpResponseBase:
        """List executions that started in the window, oldest first.

        A response has at most 8 MiB of descriptions; `limit` then says how many executions it has.
        """
        filters, asked = self._read(MAX_ROWS)
        filters = filters.by_start()
        rows = self._executions(filters)
        if self._wants_csv:
            return self._file("timeline", CSV_OF_EXECUTIONS, rows, execution_row, asked, OLDEST)
        page = self._page(rows, asked, OLDEST)
        total = page.total(lambda: queries.count(self.organization, self.actor, filters))
        shown = list(map(execution_body, page.rows))
        return Response({"total": total, "executions": shown, **page.body}, headers=page.headers)

    @described(DashboardStatisticsSerializer, *filter_parameters(None))
    def agent_stats(self, request: Request) -> Response:
        """Return statistics of all executions or of those that match; `hours` works as in
        running-agents.
        """
        filters = Filters.read(request.query_params, hours=None, now=now())
        return Response(statistics_body(queries.statistics(self.organization, self.actor, filters)))

    @described(DashboardDetailsSerializer, FID, *paging_parameters(MAX_PARTS, MAX_PARTS))
    def details(self, request: Request, fid: str) -> Response:
        """Return an execution with its events.

        A response has at most 16 MiB of messages; `limit` then says how many events it has.
        """
        asked = self._slice_of_parts()
        execution = (
            self.get_queryset().filter(fid=fid).values_list(*EXECUTION_COLUMNS, named=True).first()
        )
        if execution is None:
            raise ExecutionNotFound
        rows = ExecutionEvent.objects.for_organization(self.organization).filter(
            execution_id=execution.pk
        )
        sizes = asked.of(rows.annotate(size=queries.BYTES_OF_MESSAGE), IN_TIME)
        asked = asked.shortened(sizes.values_list("size", flat=True), MAX_BYTES)
        columns = ("sequence", "timestamp", "kind", "message")
        page = asked.page(rows.values(*columns), IN_TIME)
        has_traces = sees_all(self.actor)
        return Response(
            {
                "metadata": execution_body(execution),
                "events": [event_body(event, has_traces=has_traces) for event in page.rows],
                "total_events": page.total(rows.order_by().count),
                **page.body,
            },
            headers=page.headers,
        )

    @described(DashboardFilesSerializer, FID, *paging_parameters(MAX_PARTS, MAX_PARTS))
    def files(self, request: Request, fid: str) -> Response:
        """List the files that an execution was given and those that it made."""
        asked = self._slice_of_parts()
        execution = self.get_object()
        rows = ExecutionFile.objects.for_organization(self.organization).filter(execution=execution)
        page = asked.page(rows, BY_PATH)
        return Response({**files_body(execution, page.rows), **page.body}, headers=page.headers)

    def _executions(self, filters: Filters) -> Any:
        rows = queries.executions(self.organization, self.actor, filters)
        return rows.values_list(*EXECUTION_COLUMNS, named=True)

    def _page(self, rows: QuerySet[Any], asked: Slice, keyset: Keyset) -> Found:
        """A page, of executions with large descriptions one that is shorter than its limit."""
        if rows.model is not Execution:
            return asked.page(rows, keyset)
        sized = rows.annotate(size=queries.BYTES_OF_META)
        sized = sized.values_list(*EXECUTION_COLUMNS, "size", named=True)
        return asked.page_of_bytes(sized, keyset, MAX_LIST_BYTES)

    def _read(self, limit: int, maximum: int = MAX_ROWS) -> tuple[Filters, Slice]:
        query = self.request.query_params
        refuse_format(query, FORMATS)
        asked = self._slice(limit, maximum)
        return Filters.read(query, hours=DEFAULT_HOURS, now=asked.moment), asked

    def _slice_of_parts(self) -> Slice:
        return self._slice(MAX_PARTS, MAX_PARTS)

    def _slice(self, limit: int, maximum: int) -> Slice:
        return Slice.read(self.request, self.organization.pk, default=limit, maximum=maximum)

    @property
    def _hours(self) -> int | None:
        query = self.request.query_params
        has_times = "from" in query or "to" in query
        return None if has_times else read_hours(query) or DEFAULT_HOURS

    @property
    def _wants_csv(self) -> bool:
        return isinstance(self.request.accepted_renderer, CsvRenderer)

    def _file(
        self,
        name: str,
        columns: Sequence[str],
        rows: QuerySet[Any],
        body: Callable[[Any], dict[str, Any]],
        asked: Slice,
        keyset: Keyset,
    ) -> HttpResponseBase:

        def line(row: Any) -> str:
            found = body(row)
            return csv_line(found[column] for column in columns)

        if self.request.query_params.keys() & set(PARTS):
            page = self._page(rows, asked, keyset)
            return self._csv(name, columns, list(map(line, page.rows)), page.headers)
        lines = queries.in_batches(self.organization, rows, keyset, line)
        return self._csv(name, columns, lines)

    def _csv(
        self,
        name: str,
        columns: Sequence[str],
        lines: Iterable[str],
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> HttpResponseBase:
        file_name = f"{name}-{timezone.now():%Y-%m-%d}.csv"
        return LongResponse(
            chain([csv_line(columns)], lines),
            caller=self.actor.id,
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{file_name}"', **headers},
        )


def _bytes_of_text(row: Any) -> int:
    return len((row.text or "").encode())


def _given(query: QueryDict, name: str) -> str | None:
    return ", ".join(query.getlist(name)) if name in query else None
