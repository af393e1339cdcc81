"""/timeline: the caller's own executions, page by page and as they change.

Operators, too, see only their own here: the dashboard shows an organization's.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from django.db import OperationalError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.days import MAX_TIMESTAMP
from core.errors import InvalidValue
from core.handlers import outage_response
from core.keyset import MAX_CURSOR_LENGTH, PARAMETER, Cursor, Cursors, Keyset, moment_now
from core.outages import TOO_SLOW, outage_of
from core.pagination import CURSOR_DESCRIPTION, next_link, read_cursor
from core.parameters import require_choice, whole_number
from executions.models import Execution, ExecutionQuerySet
from organizations.actors import Scope
from organizations.time_quotas import search
from panel.base import PanelViewSet
from panel.positions import Positions
from panel.timeline_items import (
    FIRST_POSITION,
    MAX_POSITION,
    changes,
    current_position,
    item,
    newer_than,
    older_than,
    own_executions,
)
from panel.timeline_serializers import (
    TimelineChangesSerializer,
    TimelinePageSerializer,
    TimelineViewSerializer,
)

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 10, 100
MAX_SEARCH_LENGTH, MAX_FID_LENGTH = 200, 64
MODES = ("next", "update")
SECONDS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
READ = (Scope.EXECUTIONS_READ,)
NEWEST = Keyset.by("-start_time", "-pk")
PAGE = OpenApiParameter(
    "pp",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE},
    description="The maximum number of items.",
)
SEARCH = OpenApiParameter(
    "q",
    {"type": "string", "maxLength": MAX_SEARCH_LENGTH},
    description=(
        "Part of the text `author:… organization:… summary:… description:… fid:… "
        "status:… tag:… startup:… inputs:… final:…`. Case does not matter. The searches "
        "of one caller may use six seconds of database time per minute, those of one "
        "organization twenty; beyond that the response is 429."
    ),
)


def fid_parameter(name: str, description: str) -> OpenApiParameter:
    schema = {"type": "string", "maxLength": MAX_FID_LENGTH}
    return OpenApiParameter(name, schema, description=description)


def position_parameter(name: str) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        {
            "type": "number",
            "anyOf": [
                {"minimum": 0, "maximum": MAX_TIMESTAMP},
                {"minimum": FIRST_POSITION, "maximum": MAX_POSITION},
            ],
        },
        description=(
            "The `timestamp` of an earlier response. For a first request, a time in Unix "
            "seconds works as well."
        ),
    )


@extend_schema(tags=["Timeline"])
class TimelineViewSet(PanelViewSet):
    pagination_class = None
    required_scopes = {"list_items": READ, "list_changes": READ, "move": READ}
    query_parameters = {
        "list_items": ("pp", "q", "offset", PARAMETER),
        "list_changes": ("since", "q"),
        "move": ("mode", "pp", "q", "origin", "offset", "timestamp"),
    }

    @property
    def search(self) -> str:
        return self.text("q", MAX_SEARCH_LENGTH) or ""

    def respond(self, work: Callable[[], Response]) -> Response:
        """Respond to a request, with a limit on the caller's search time.

        A search reads the content of all the caller's executions. It counts even when it fails.
        """
        if not self.search:
            return work()
        try:
            return search(self.actor, work)
        except OperationalError as error:
            outage = outage_of(error)
            if outage is not TOO_SLOW:
                raise
            return outage_response(outage)

    @property
    def own(self) -> ExecutionQuerySet:
        return own_executions(self.organization, self.actor, self.search)

    @extend_schema(
        parameters=[
            PAGE,
            SEARCH,
            fid_parameter("offset", "Continue after this execution at its current position."),
            OpenApiParameter(
                PARAMETER,
                {"type": "string", "maxLength": MAX_CURSOR_LENGTH},
                description=CURSOR_DESCRIPTION.format(field="`next_cursor`", instead="offset"),
            ),
        ],
        responses=TimelinePageSerializer,
    )
    def list_items(self, request: Request) -> Response:
        """List the caller's own executions, newest first."""
        return self.respond(self._list_items)

    def _list_items(self) -> Response:
        query = self.request.query_params
        cursors = Cursors(self.request.path, self.organization.pk, query)
        cursor = read_cursor(query, cursors, "offset")
        offset = self.text("offset", MAX_FID_LENGTH)
        rows = NEWEST.after(self.own, cursor.key) if cursor else self.after(offset)
        page = list(rows[: self.size + 1])
        following = None
        if len(page) > self.size:
            page.pop()
            position = (cursor.position if cursor else 0) + self.size
            moment = cursor.moment if cursor else moment_now()
            following = cursors.write(Cursor(NEWEST.key_of(page[-1]), position, moment))
        return Response(
            {
                "items": [item(execution) for execution in page],
                "query": self.search or None,
                "offset": page[-1].fid if page else None,
                "next_cursor": following,
            },
            headers=next_link(self.request, following, "offset"),
        )

    @extend_schema(
        parameters=[position_parameter("since"), SEARCH],
        responses=TimelineChangesSerializer,
    )
    def list_changes(self, request: Request) -> Response:
        """List the caller's own executions that changed or were deleted after `since`.

        Without `since` only the position to continue from is returned. While something is being
        written, a change may be reported twice. A response has at most 500 changes and about 4 MiB
        of them; continue from its `timestamp` for the others.
        """
        return self.respond(self._list_changes)

    def _list_changes(self) -> Response:
        since = self.position("since")
        if since is None:
            updated: list[dict[str, Any]] = []
            deleted: Sequence[str] = []
            timestamp = current_position()
        else:
            found = changes(self.organization, self.actor, since, self.own)
            updated, deleted = [item(execution) for execution in found.updated], found.deleted
            timestamp = found.position
        return Response(
            {
                "update": updated,
                "delete": deleted,
                "timestamp": self.positions.write(timestamp),
                "query": self.search or None,
            }
        )

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "mode",
                {"type": "string", "enum": list(MODES), "default": "next"},
                description=(
                    "`next` appends older executions; `update` returns new and changed ones."
                ),
            ),
            PAGE,
            SEARCH,
            fid_parameter("origin", "The newest execution shown."),
            fid_parameter("offset", "The oldest execution shown."),
            position_parameter("timestamp"),
        ],
        responses=TimelineViewSerializer,
    )
    def move(self, request: Request) -> Response:
        """Return what a page of the caller's own executions must add, change and remove."""
        return self.respond(self._move)

    def _move(self) -> Response:
        mode = self.text("mode", 10) or "next"
        require_choice(mode, "mode", MODES)
        origin, offset = self.text("origin", MAX_FID_LENGTH), self.text("offset", MAX_FID_LENGTH)
        since = self.position("timestamp")
        appended: list[Execution] = []
        inserted: list[Execution] = []
        updated: list[Execution] = []
        deleted: list[str] = []
        timestamp = current_position()
        if mode == "next":
            appended = self.page(offset)
            timestamp = timestamp if since is None else since
        else:
            inserted = (
                list(newer_than(self.own, origin)[:MAX_PAGE_SIZE]) if origin else self.page(None)
            )
            if since is not None:
                found = changes(self.organization, self.actor, since, self.own)
                new = {execution.pk for execution in inserted}
                updated = [execution for execution in found.updated if execution.pk not in new]
                deleted, timestamp = list(found.deleted), found.position
        shown = inserted or appended
        return Response(
            {
                "total": self.own.order_by().count(),
                "origin": shown[0].fid if shown and (inserted or not origin) else origin,
                "offset": appended[-1].fid
                if appended
                else offset or (shown and shown[-1].fid) or None,
                "timestamp": self.positions.write(timestamp),
                "items": {
                    "append": [item(execution) for execution in appended],
                    "insert": [item(execution) for execution in inserted],
                    "update": [item(execution) for execution in updated],
                    "delete": deleted,
                },
                "query": self.search or None,
            }
        )

    def page(self, offset: str | None) -> list[Execution]:
        """The executions after `offset`; the first ones without it."""
        return list(self.after(offset)[: self.size])

    @property
    def size(self) -> int:
        return whole_number(
            self.request.query_params, "pp", default=DEFAULT_PAGE_SIZE, maximum=MAX_PAGE_SIZE
        )

    def after(self, offset: str | None) -> ExecutionQuerySet:
        return older_than(self.own, offset) if offset else self.own

    def text(self, name: str, longest: int) -> str | None:
        found = self.request.query_params.get(name)
        if found is not None and len(found) > longest:
            raise InvalidValue.of(name, f"Must not have more than {longest} characters.")
        return found or None

    def position(self, name: str) -> float | None:
        found = self.request.query_params.get(name)
        if found is None:
            return None
        try:
            seconds = float(found) if SECONDS.fullmatch(found) else math.nan
        except ValueError:
            seconds = math.nan
        if not (0 <= seconds <= MAX_TIMESTAMP or FIRST_POSITION <= seconds <= MAX_POSITION):
            problem = "Must be the timestamp of an earlier response, or Unix seconds."
            raise InvalidValue.of(name, problem)
        return self.positions.read(seconds)

    @property
    def positions(self) -> Positions:
        return Positions(self.organization.pk)
