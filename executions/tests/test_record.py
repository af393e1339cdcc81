"""The state of an execution follows from its events."""

import json

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from executions.event_log import NewEvent, append_events
from executions.models import (
    Execution,
    ExecutionError,
    ExecutionEvent,
    ExecutionHasEnded,
    IllegalTransition,
    new_execution,
)
from executions.tests.factories import FAILED, FINISHED, RUNNING, START, make_execution, tagged
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization


def append(execution: Execution, *events: NewEvent, **options: bool) -> Execution:
    with organization_scope(execution.organization_id):
        return append_events(execution, events, **options)


def status(word: str, timestamp: float = START) -> NewEvent:
    return NewEvent(timestamp, "status", word)


def test_a_whole_run(organization: Organization) -> None:
    meta = {"summary": "Weekly report", "entry_point": "report:build", "tags": ["b", "a"]}

    execution = make_execution(
        organization,
        FINISHED,
        start=START,
        events=[
            tagged("meta", START + 0.1, **meta),
            tagged("inputs", START + 0.2, topic="Ä"),
            NewEvent(START + 1.5, "final", '{"Markdown":{"body":"**ok**"}}'),
        ],
    )

    assert execution.status == "finished"
    assert execution.agent_name == "Weekly report"
    assert execution.meta == {"dict": meta}
    assert execution.inputs == {"dict": {"topic": "Ä"}}
    assert json.loads(execution.final or "") == {"Markdown": {"body": "**ok**"}}
    assert (execution.start_time, execution.end_time) == (START, START + 2.0)
    assert execution.runtime == 2.0
    assert execution.marked_time == START + 2.0
    assert execution.last_sequence == 6


def test_times_come_back_digit_for_digit(organization: Organization) -> None:
    made = make_execution(organization, start=START)

    with organization_scope(organization):
        found = Execution.objects.get(pk=made.pk)
        event = ExecutionEvent.objects.get(execution=made, sequence=1)

    assert repr(found.start_time) == repr(event.timestamp) == "1795316076.7659645"


@pytest.mark.parametrize(
    ("message", "stored"),
    [
        (
            r'{"dict": {"a\u0000": "b\u0000", "c": "\ud800"}}',
            {"dict": {"a\ufffd": "b\ufffd", "c": "\ufffd"}},
        ),
        (
            '{"dict": [NaN, Infinity, -Infinity, 1e999, 0.1]}',
            {"dict": [None, None, None, None, 0.1]},
        ),
        ("[" * 90 + "]" * 90, json.loads("[" * 90 + "]" * 90)),
        ("[" * 100_000 + "]" * 100_000, None),
        ("[" * 500 + "]" * 500, None),
        ('{"dict": ' + "9" * 5000 + "}", None),
        ('{"dict": ' + "9" * 4000 + "}", {"dict": int("9" * 4000)}),
        ("not JSON", None),
    ],
    ids=["NUL", "not a number", "deep", "too deep", "rather deep", "digits", "numeric", "text"],
)
def test_characters_that_postgresql_cannot_store_are_replaced(
    organization: Organization, message: str, stored: object
) -> None:
    made = make_execution(organization, events=[NewEvent(START, "inputs", message)])

    with organization_scope(organization):
        assert Execution.objects.get(pk=made.pk).inputs == stored


def test_an_open_lock_makes_it_await_and_its_lease_run_again(organization: Organization) -> None:
    execution = make_execution(organization, RUNNING, start=START)

    waiting = append(execution, tagged("lock", START + 1, lid="one"))
    both = append(execution, tagged("lock", START + 2, lid="two"))
    one_left = append(execution, tagged("lease", START + 3, lid="one"))
    assert [waiting.status, both.status, one_left.status] == ["awaiting"] * 3
    assert one_left.open_locks == ["two"]

    released = append(execution, tagged("lease", START + 4, lid="two"))
    assert (released.status, released.open_locks) == ("running", [])


def test_an_expired_lock_stays_listed_when_the_run_has_failed(organization: Organization) -> None:
    execution = make_execution(
        organization, FAILED, start=START, events=[tagged("lock", START + 1, lid="one")]
    )

    assert (execution.status, execution.open_locks) == ("error", ["one"])


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        (RUNNING, "starting"),
        (RUNNING, "queued"),
        (RUNNING[:1], "queued"),
        (RUNNING, "lost"),
        (RUNNING, ""),
    ],
)
def test_illegal_changes_are_refused_and_leave_no_trace(
    organization: Organization, before: tuple[tuple[str, float], ...], wanted: str
) -> None:
    execution = make_execution(organization, before, start=START)

    with organization_scope(organization):
        with pytest.raises(IllegalTransition), transaction.atomic():
            append_events(execution, [status(wanted, START + 9)])
        known = Execution.objects.get(pk=execution.pk)

    assert (known.status, known.last_sequence) == (execution.status, execution.last_sequence)


def test_nothing_follows_the_end(organization: Organization) -> None:
    execution = make_execution(organization, FINISHED, start=START)

    with organization_scope(organization), pytest.raises(ExecutionHasEnded), transaction.atomic():
        append_events(execution, [NewEvent(START + 9, "stdout", "late")])


def test_the_newest_status_counts_not_the_last_written(organization: Organization) -> None:
    execution = make_execution(organization, (), start=START)

    append(execution, status("running", START + 1), status("finished", START + 3), is_strict=False)
    late = append(execution, status("starting", START), is_strict=False)

    assert late.status == "finished"
    assert late.start_time == START


def test_an_error_is_readable_and_keeps_its_trace(organization: Organization) -> None:
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: no 7'

    execution = make_execution(
        organization, FAILED, start=START, events=[NewEvent(START + 1, "error", trace)]
    )

    assert execution.error == "ValueError: no 7"
    assert execution.error_time == START + 1
    with organization_scope(organization):
        error = ExecutionError.objects.get(execution=execution)
        event = ExecutionEvent.objects.get(execution=execution, sequence=error.sequence)
    assert (error.error_type, error.message, event.message) == (
        "ValueError",
        "ValueError: no 7",
        trace,
    )


class Appending(TestCase):
    """However the events are batched, the sequence has no gap and the resulting state is the
    same.
    """

    words = st.sampled_from(["starting", "running", "finished", "error", "awaiting", "odd"])
    events = st.lists(
        st.tuples(
            st.floats(0, 1e4),
            st.one_of(
                st.tuples(st.just("status"), words),
                st.tuples(
                    st.sampled_from(["lock", "lease"]),
                    st.sampled_from(['{"dict":{"lid":"a"}}', '{"dict":{"lid":"b"}}', "[", "[1]"]),
                ),
                st.tuples(st.sampled_from(["stdout", "error", "meta", "inputs"]), st.text("{}a\n")),
            ),
        ),
        max_size=12,
    )

    @settings(max_examples=30, deadline=None)
    @given(events, st.integers(1, 4))
    def test_batches_do_not_matter(
        self, reported: list[tuple[float, tuple[str, str]]], size: int
    ) -> None:
        organization = make_organization("Any")
        ordered = sorted(
            [NewEvent(START + seconds, kind, message) for seconds, (kind, message) in reported],
            key=lambda event: event.timestamp,
        )
        with organization_scope(organization):
            whole, parts = (new_execution(organization) for _ in range(2))
            for execution in (whole, parts):
                execution.save(force_insert=True)
            whole = append_events(whole, ordered, is_strict=False)
            for n in range(0, len(ordered), size):
                parts = append_events(parts, ordered[n : n + size], is_strict=False)
            sequences = list(
                ExecutionEvent.objects.filter(execution=parts).values_list("sequence", flat=True)
            )

        assert sequences == list(range(1, len(ordered) + 1))
        for name in ("status", "open_locks", "error", "error_time", "end_time", "last_sequence"):
            assert getattr(whole, name) == getattr(parts, name), name
