"""A download of a run that is deleted meanwhile ends."""

import pytest

from executions.actions import delete_execution, removal
from executions.event_log import NewEvent
from executions.models import ExecutionEvent, now
from executions.tests.factories import make_execution
from organizations.actors import Actor
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from pages.executions import exports


def test_a_download_ends_with_its_run_even_if_the_events_are_still_there(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH", 4)
    monkeypatch.setattr(removal, "EVENTS_AT_ONCE", 5)
    events = [NewEvent(now() + place, "stdout", f"line {place}") for place in range(20)]
    execution = make_execution(organization, events=events)
    lines = exports.all_events(execution, lambda event: f"{event.sequence}\n")
    begun = next(lines)

    with organization_scope(organization):
        delete_execution(execution, actor=Actor.for_system(organization, "test"))
        assert ExecutionEvent.objects.count() > 20

    assert begun.startswith("1\n2\n")
    assert list(lines) == []
