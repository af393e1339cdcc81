"""Factories for executions, written through the event log as engines would."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from agents.models import Agent
from core.ids import uuid7
from executions.event_log import NewEvent, append_events
from executions.file_counts import recount_files
from executions.models import (
    Execution,
    ExecutionFile,
    ExecutionUser,
    Upload,
    UploadPart,
    new_execution,
    now,
)
from organizations.actors import Actor, Scope
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from tokens.tests.factories import make_credential

START = 1_795_316_076.7659645
FINISHED = (("starting", 0.0), ("running", 0.5), ("finished", 2.0))
FAILED = (("starting", 0.0), ("running", 0.5), ("error", 2.0))
RUNNING = FINISHED[:2]


def make_user_of(membership: Membership) -> ExecutionUser:
    """The ExecutionUser of the member."""
    user = membership.user
    with organization_scope(membership.organization):
        return ExecutionUser.objects.get_or_create(
            organization=membership.organization,
            external_id=user.pk,
            defaults={"name": str(user), "email": user.email, "user": user},
        )[0]


def make_outside_user(organization: Organization, name: str, external_id: UUID) -> ExecutionUser:
    """A user of a system from which executions were imported."""
    with organization_scope(organization):
        return ExecutionUser.objects.create(
            organization=organization, external_id=external_id, name=name
        )


def make_execution(
    organization: Organization,
    statuses: Sequence[tuple[str, float]] = FINISHED,
    *,
    start: float | None = None,
    events: Sequence[NewEvent] = (),
    **overrides: Any,
) -> Execution:
    """An execution with these statuses, each given in seconds after `start` (default: now), and
    further `events`.
    """
    start = now() if start is None else start
    all_events = [
        *(NewEvent(start + seconds, "status", word) for word, seconds in statuses),
        *events,
    ]
    all_events.sort(key=lambda event: event.timestamp)
    with organization_scope(organization):
        execution = new_execution(organization, **overrides)
        execution.save(force_insert=True)
        return append_events(execution, all_events, is_strict=False)


def tagged(kind: str, timestamp: float, **fields: Any) -> NewEvent:
    """An event whose message is a tagged dict."""
    return NewEvent(timestamp, kind, json.dumps({"dict": fields}))


def make_file(
    execution: Execution, area: str = "out", path: str = "report.txt", content: bytes = b"done"
) -> ExecutionFile:
    """Add a file to the execution and update its counts."""
    key = uuid7()
    name = default_storage.save(
        f"executions/{execution.organization_id}/{execution.pk}/{key}", ContentFile(content)
    )
    with organization_scope(execution.organization_id):
        file = ExecutionFile.objects.create(
            id=key,
            organization_id=execution.organization_id,
            execution=execution,
            area=area,
            path=path,
            size=len(content),
            last_modified=START,
            content=name,
        )
        recount_files(execution)
        return file


def make_upload(execution: Execution, content: bytes = b"first") -> Upload:
    """An upload of which the first part has arrived."""
    with organization_scope(execution.organization_id):
        upload = Upload.objects.create(
            organization_id=execution.organization_id,
            execution=execution,
            area="in",
            path="letter.txt",
            size=100,
        )
        UploadPart.objects.create(
            organization_id=execution.organization_id, upload=upload, offset=0, content=content
        )
        return upload


def content_of(file: ExecutionFile) -> bytes:
    with file.content.open() as opened:
        return bytes(opened.read())


def actor_of(agent: Agent, *scopes: str) -> Actor:
    """The agent with these scopes, by default that for reports."""
    agent.scopes = sorted({*agent.scopes, *(scopes or [Scope.EXECUTIONS_WRITE])})
    with organization_scope(agent.organization):
        agent.save(update_fields=["scopes"])
    return Actor(
        kind="agent",
        id=agent.pk,
        label=agent.email,
        organization=agent.organization,
        scopes=frozenset(scopes or [Scope.EXECUTIONS_WRITE]),
        credential_id=make_credential(agent)[0].pk,
    )
