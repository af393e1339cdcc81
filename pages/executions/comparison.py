"""What differs between a run that has ended and the one of the same agent before it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Case, When

from core.formatting import NOTHING, SPACE, absolute_time, duration, money, number
from executions.models import Execution
from organizations.actors import Actor
from pages.executions.inputs import inputs_of
from pages.executions.neighbours import earlier_runs
from pages.executions.page_context import milliseconds

LOOKED_AT = 20
"""Earlier runs among which a failed one looks for one that finished."""
SHOWN = 8
"""Rows; further differences are counted."""
NOTEWORTHY = 0.2
"""Numbers that differ by a smaller share are about the same."""
LONGEST = 120
NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)
"""What is subtracted. The difference of 1e999999 and 0 would have a million digits."""
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Row:
    """A fact about both runs, in words."""

    name: str
    now: str
    before: str
    change: str = ""
    is_different: bool = True


def comparison_of(
    execution: Execution, previous: Execution | None, actor: Actor, now: datetime
) -> dict[str, Any] | None:
    """The context of executions/comparison.html; None while the run is live, or if there is nothing
    to compare.
    """
    other = compared_with(execution, actor) if execution.has_ended else None
    if other is None or previous is None:
        return None
    rows = [*inputs_compared(execution, other), *facts_compared(execution, other)]
    different = [row for row in rows if row.is_different]
    same = [row.name.lower() for row in rows if not row.is_different and row.now != NOTHING]
    if not different and not same:
        return None
    return {
        "other": other,
        "is_previous": other.pk == previous.pk,
        "started": absolute_time(other.started_at, now),
        "rows": different[:SHOWN],
        "more": len(different) - SHOWN if len(different) > SHOWN else 0,
        "same": same,
    }


def compared_with(execution: Execution, actor: Actor) -> Execution | None:
    """The run before it if that has ended; for a failed one the last that finished if that is not
    long ago, because the difference to another failure explains little. One query.
    """
    is_failed = execution.status == Execution.FAILED
    near = earlier_runs(execution, actor).values("pk")[: LOOKED_AT if is_failed else 1]
    runs = Execution.objects.for_organization(execution.organization).filter(pk__in=near)
    is_finished = Case(When(status=Execution.Status.FINISHED, then=0), default=1)
    first = runs.select_related("user", "credential").order_by(
        *([is_finished] if is_failed else []), "-start_time", "-id"
    )
    found: Execution | None = first.first()
    return found if found is not None and found.has_ended else None


def inputs_compared(execution: Execution, other: Execution) -> Iterator[Row]:
    """The inputs that differ, and in one row whether the others are the same."""
    mine, theirs = dict(inputs_of(execution)), dict(inputs_of(other))
    names = list(dict.fromkeys([*mine, *theirs]))
    different = [name for name in names if mine.get(name) != theirs.get(name)]
    for name in different:
        yield Row(
            name,
            _value(mine.get(name)),
            _value(theirs.get(name)),
            _difference(mine.get(name), theirs.get(name)),
        )
    if names and len(different) < len(names):
        yield Row("the other inputs" if different else "the inputs", "", "", is_different=False)


def _value(text: str | None) -> str:
    if text is None:
        return NOTHING
    return (text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…") or "empty"


def _difference(now: str | None, before: str | None) -> str:
    """How much more or less, of two numbers."""
    if not (NUMBER.fullmatch(now or "") and NUMBER.fullmatch(before or "")):
        return ""
    more = Decimal(now or "") - Decimal(before or "")
    return f"{'+' if more > 0 else MINUS}{abs(more):,f}"


def facts_compared(execution: Execution, other: Execution) -> Iterator[Row]:
    """Who and what, then how long and how much."""
    for name, read in (
        ("Task", lambda run: (run.summary or "").strip()),
        ("Version", lambda run: str(run.description.get("version") or "")),
        ("Secret", secret_of),
        ("User", lambda run: run.user.name if run.user else ""),
    ):
        mine, theirs = read(execution), read(other)
        if mine or theirs:
            texts = (_value(mine or None), _value(theirs or None))
            yield Row(name, *texts, is_different=mine != theirs)
    numbers: tuple[tuple[str, Any, Any], ...] = (
        ("Runtime", lambda run: milliseconds(run.runtime), duration),
        ("Waited", lambda run: milliseconds(run.waiting_seconds) or None, duration),
        ("Model tokens", tokens_of, number),
        ("Cost", lambda run: run.cost, money),
        ("Files given", lambda run: run.input_file_count or None, number),
        ("Files made", lambda run: run.output_file_count or None, number),
    )
    for name, read, formatted in numbers:
        mine, theirs = read(execution), read(other)
        if mine is None and theirs is None:
            continue
        yield Row(
            name,
            formatted(mine),
            formatted(theirs),
            _change(mine, theirs),
            is_different=_differ(mine, theirs),
        )


def secret_of(run: Execution) -> str:
    if run.credential is None:
        return ""
    hint = run.credential.hint_at(run.started_at)
    return f"{run.credential.name} {f'…{hint}' if hint else ''}".strip()


def tokens_of(run: Execution) -> int | None:
    if run.input_tokens is None and run.output_tokens is None:
        return None
    return (run.input_tokens or 0) + (run.output_tokens or 0)


def _differ(now: Any, before: Any) -> bool:
    if not now or not before:
        return bool(now) != bool(before)
    low, high = sorted((float(now), float(before)))
    return high - low >= NOTEWORTHY * low


def _change(now: Any, before: Any) -> str:
    """In whole per cent, or how many times as much."""
    if not now or not before:
        return ""
    ratio = float(now) / float(before)
    if ratio >= 2:
        return f"{ratio:,.1f}".removesuffix(".0") + f"{SPACE}{TIMES}"
    return f"{'+' if ratio > 1 else MINUS}{abs(ratio - 1):.0%}".replace("%", f"{SPACE}%")
