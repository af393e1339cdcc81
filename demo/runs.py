"""Thirty believable days of executions, brought up to now.

A later call adds only new runs, and the progress of those that were unfinished.
"""

import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import Max

from demo.companies import Company, uuid_at
from demo.run_plans import MAX_RUN_DAYS, Run, plan
from demo.traffic import SEED, Player
from executions.event_log import LightEvent, append_events, apply_events, insert_events
from executions.file_names import folder_of
from executions.models import Execution, ExecutionError, ExecutionFile, ExecutionUser
from organizations.models import Membership, Organization

DAYS = 30
WITHOUT_EFFECT = frozenset({"stdout", "stderr", "result"})
"""Kinds of events that change nothing but the execution's times."""
FORMER = "Lena Brandt"
"""A former member, whose executions keep the name."""


def bring_up_to(
    now: datetime, company: Company, organization: Organization, players: list[Player]
) -> int:
    """Add what has happened since the last call; return the number of new executions."""
    latest = Execution.objects.for_organization(organization).filter(
        source=Execution.Source.API, credential__in=_usual_credentials(players)
    )
    since = latest.aggregate(latest=Max("start_time"))["latest"] or 0.0
    days = DAYS if not since else min(DAYS, (now.timestamp() - since) / 86_400 + MAX_RUN_DAYS + 1)
    planned = list(plan(company, _users(organization), players, now, int(days)))
    _continue_runs(organization, planned, since, now.timestamp())
    new = [run for run in planned if since < run.start <= now.timestamp()]
    _insert(organization, new, now.timestamp())
    return len(new)


def _usual_credentials(players: list[Player]) -> list[UUID]:
    return [player.credential_ids[0] for player in players]


def _users(organization: Organization) -> list[ExecutionUser]:
    """The members as users of executions, and a former member."""
    users = [
        ExecutionUser.objects.get_or_create(
            organization=organization,
            external_id=membership.user_id,
            defaults={
                "name": str(membership.user),
                "email": membership.user.email,
                "user": membership.user,
            },
        )[0]
        for membership in Membership.objects.for_organization(organization)
        .select_related("user")
        .order_by("created_at", "id")
    ]
    former = UUID(int=random.Random(f"{SEED} {organization.slug} {FORMER}").getrandbits(128))  # noqa: S311
    return [
        *users,
        ExecutionUser.objects.get_or_create(
            organization=organization, external_id=former, defaults={"name": FORMER}
        )[0],
    ]


def _continue_runs(
    organization: Organization, planned: list[Run], since: float, now: float
) -> None:
    """Continue the runs that were unfinished at the last call."""
    runs = {run.key: run for run in planned if run.start <= since}
    live = Execution.objects.for_organization(organization).live()
    for execution in live.filter(pk__in=runs.keys()):
        run = runs[execution.pk]
        new_events = [
            event for event in run.events[execution.last_sequence :] if event.timestamp <= now
        ]
        append_events(execution, new_events, is_strict=False, **_figures(run, now))
        if run.end <= now:
            _save_files(organization, [(run, execution)])


def _figures(run: Run, now: float) -> dict[str, Any]:
    """The figures of an execution that are known once it has ended."""
    if run.end > now:
        return {}
    return {
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost": run.cost,
        "download_count": int(run.file is not None),
        "output_file_count": int(run.file is not None),
    }


def _insert(organization: Organization, runs: list[Run], now: float) -> None:
    """Insert everything in a few statements, so that seeding takes seconds."""
    executions, errors, finished = [], [], []
    events: list[LightEvent] = []
    for run in runs:
        numbered = [(n, event) for n, event in enumerate(run.events, 1) if event.timestamp <= now]
        execution = Execution(
            id=run.key,
            fid=str(run.key),
            organization=organization,
            agent_id=run.player.agent_id,
            credential_id=run.player.credential_ids[0],
            user=run.user,
            agent_name=run.player.part.name,
            start_time=run.start,
            created_at=datetime.fromtimestamp(run.start, UTC),
            **_figures(run, now),
        )
        rows = [
            LightEvent(str(run.key), sequence, event.timestamp, event.kind, event.message)
            for sequence, event in numbered
        ]
        last = len(rows)
        effective = [row for row in rows if row.kind not in WITHOUT_EFFECT or row.sequence == last]
        errors += apply_events(execution, effective)
        executions.append(execution)
        events += rows
        if run.end <= now:
            finished.append((run, execution))
    Execution.objects.bulk_create(executions)
    insert_events(organization, events)
    for error in errors:  # as if they had been received when they happened
        error.created_at = datetime.fromtimestamp(error.timestamp, UTC)
    ExecutionError.objects.bulk_create(errors)
    _save_files(organization, finished)


def _save_files(organization: Organization, ended: list[tuple[Run, Execution]]) -> None:
    files = []
    for run, execution in ended:
        if run.file is None:
            continue
        path, text = run.file
        key = uuid_at(datetime.fromtimestamp(run.end, UTC), random.Random(f"{run.key} file"))  # noqa: S311
        content = text.encode()
        name = f"{folder_of(organization.pk, execution.pk)}/{key}"
        default_storage.delete(name)
        files.append(
            ExecutionFile(
                id=key,
                organization=organization,
                execution=execution,
                area=ExecutionFile.Area.OUT,
                path=path,
                size=len(content),
                last_modified=run.end,
                content=default_storage.save(name, ContentFile(content)),
            )
        )
    ExecutionFile.objects.bulk_create(files)
