"""Lists of the executions and errors that an actor may see."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db.models import F, Func, IntegerField, OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Left

from core.keyset import Keyset
from core.long_responses import ROWS_PER_FETCH, Piece, gather, in_pieces
from executions.described import described
from executions.filters import EVERYTHING, Filters
from executions.models import Execution, ExecutionError, ExecutionEvent, sees_all
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope

BATCH = 1000
MAX_TEXT_LENGTH = 100_000
"""Characters of an error's text in a list."""
BYTES_OF_MESSAGE = Func("message", function="octet_length", output_field=IntegerField())
"""The size of an event's message, which PostgreSQL knows without reading it."""
BYTES_OF_META = Func(
    Cast("meta", TextField()), function="octet_length", output_field=IntegerField()
)


def executions(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> QuerySet[Execution]:
    """Executions, newest first, with their users and without large fields."""
    return visible_executions(organization, actor, filters).without_content().select_related("user")


def waiting(organization: Organization, actor: Actor) -> QuerySet[Execution]:
    """Executions that wait for an answer, the one that has waited longest first."""
    rows = visible_executions(organization, actor, Filters(status=(Execution.Status.AWAITING,)))
    return rows.without_content().order_by(F("end_time").asc(nulls_first=True), "id")


def visible_executions(organization: Organization, actor: Actor, filters: Filters) -> Any:
    visible = Execution.objects.for_organization(organization).visible_to(actor)
    return filters.narrow(visible)


def visible_parts(organization: Organization, actor: Actor, filters: Filters) -> list[Any]:
    """The same executions in parts (Filters.parts), without an order."""
    visible = Execution.objects.for_organization(organization).visible_to(actor)
    return filters.parts(visible.order_by())


def union(parts: Iterable[QuerySet[Any]]) -> QuerySet[Any]:
    first, *others = parts
    return first.union(*others, all=True)


def errors(
    organization: Organization, actor: Actor, filters: Filters = EVERYTHING
) -> QuerySet[ExecutionError]:
    """Errors emitted in the window, newest first, with their executions and users."""
    return (
        visible_errors(organization, actor, filters)
        .select_related("execution__user")
        .defer(*(f"execution__{name}" for name in ("meta", *Execution.NOT_IN_LISTS)))
    )


def has_errors(organization: Organization, actor: Actor) -> bool:
    """Whether any execution that the actor may see has ever reported an error."""
    return visible_errors(organization, actor, EVERYTHING).exists()


def visible_errors(organization: Organization, actor: Actor, filters: Filters) -> Any:
    rows = ExecutionError.objects.for_organization(organization)
    if filters.fingerprint:
        rows = rows.filter(fingerprint=filters.fingerprint)
    if filters.conditions or not sees_all(actor):
        visible = Execution.objects.for_organization(organization).visible_to(actor)
        rows = rows.filter(execution__in=visible.filter(filters.conditions).order_by())
    return filters.narrow_to_window(rows, "timestamp")


def first_version(organization: Organization, actor: Actor, fingerprint: str) -> str:
    """The version that the first run with an error of the group reported; empty if it did not.

    Agents have a version as well, but of theirs nothing says which one ran.
    """
    alike = visible_errors(organization, actor, EVERYTHING).filter(fingerprint=fingerprint)
    first = alike.order_by("timestamp", "id").values_list("execution__meta", flat=True)[:1]
    found = [described(meta).get("version") for meta in first]
    return next((each for each in found if isinstance(each, str)), "")


def with_texts(
    errors: QuerySet[ExecutionError], longest: int = MAX_TEXT_LENGTH
) -> QuerySet[ExecutionError]:
    """Annotate each error with `text`, the beginning of its event's message; for operators only."""
    events = ExecutionEvent.objects.filter(
        organization_id=OuterRef("organization_id"),
        execution_id=OuterRef("execution_id"),
        sequence=OuterRef("sequence"),
    )
    return errors.annotate(text=Subquery(events.values(text=Left("message", longest))))


def in_batches(
    organization: Organization,
    rows: QuerySet[Any],
    keyset: Keyset,
    line: Callable[[Any], str],
) -> Iterator[str]:
    """The lines for all rows of a list, for a file that is sent after the request's transaction.

    Each batch enters the organization's scope anew and continues after the last row of the batch
    before.
    """

    def read(last: tuple[Any, ...] | None) -> Piece[tuple[Any, ...]]:
        following = keyset.after(rows, last) if last else keyset.in_order(rows)
        with organization_scope(organization):
            return gather(following[:BATCH].iterator(ROWS_PER_FETCH), line, keyset.key_of)

    return in_pieces(read)
