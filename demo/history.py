"""An audit log of the past, chained like the real one."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models

from core.ids import uuid7
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import FIRST_HASH, event_hash
from organizations.models import AuditEvent, Organization


@dataclass
class History:
    """Collects past events and writes them in order of time as the beginning of the audit log."""

    organization: Organization
    actor: Actor
    events: list[AuditEvent] = field(default_factory=list)

    def add(self, action: AuditAction, target: models.Model, at: datetime, **metadata: Any) -> None:
        agent_id = metadata.pop("agent_id", None) or getattr(target, "agent_id", None)
        if target._meta.model_name == "agent":
            agent_id = target.pk
        self.events.append(
            AuditEvent(
                id=uuid7(),
                organization=self.organization,
                occurred_at=at,
                action=AuditAction(action).value,
                actor_kind=self.actor.kind,
                actor_id=self.actor.id,
                actor_label=self.actor.label,
                agent_id=agent_id,
                target_type=str(target._meta.model_name),
                target_id=str(target.pk),
                target_label=str(target),
                metadata=metadata,
                created_at=at,
            )
        )

    def write(self) -> None:
        """Write the events; the log must still be empty."""
        previous = FIRST_HASH
        self.events.sort(key=lambda event: event.occurred_at)
        for sequence, event in enumerate(self.events, start=1):
            event.sequence, event.previous_hash = sequence, previous
            event.hash = previous = event_hash(event)
        AuditEvent.objects.bulk_create(self.events)
