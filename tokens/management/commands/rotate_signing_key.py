from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import transaction

from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import UNIDENTIFIED_ORGANIZATION_ID, Organization
from organizations.tenancy.scope import organization_scope
from tokens.keys import (
    RELOAD_AFTER_SECONDS,
    lock_ring,
    require_openable_keys,
    rotate_signing_key,
)
from tokens.models import SigningKey

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Create a new signing key and retire the current one without invalidating any token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--algorithm",
            choices=Organization.Algorithm.values,
            default=Organization.Algorithm.ES256.value,
        )
        parser.add_argument(
            "--emergency",
            action="store_true",
            help=(
                "stop the current key at once because it has leaked; every token that it signed "
                "ends"
            ),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        algorithm, is_emergency = options["algorithm"], options["emergency"]
        if not is_emergency:
            require_openable_keys()  # a ring encrypted with two keys cannot be opened with either
        with transaction.atomic():
            lock_ring()
            before = set(SigningKey.objects.filter(algorithm=algorithm))
            key = rotate_signing_key(algorithm, is_emergency=is_emergency)
            deleted = sorted(map(str, before - set(SigningKey.objects.all())))
            record_rotation(key, is_emergency=is_emergency, deleted=deleted)
        logger.info(
            "signing_key.rotated", kid=key.kid, algorithm=algorithm, is_emergency=is_emergency
        )
        for moment, sentence in timeline(key, deleted, is_emergency=is_emergency):
            self.stdout.write(f"{moment:%Y-%m-%d %H:%M:%S} UTC  {sentence}")


def record_rotation(key: SigningKey, *, is_emergency: bool, deleted: list[str]) -> None:
    """Record the rotation in the system organization's audit log: keys belong to no tenant."""
    system = Organization.objects.get(pk=UNIDENTIFIED_ORGANIZATION_ID)
    with organization_scope(system):
        record_event(
            AuditAction.SIGNING_KEY_ROTATED,
            key,
            actor=Actor.for_system(system, "rotate_signing_key"),
            algorithm=key.algorithm,
            activeFrom=key.active_from,
            isEmergency=is_emergency,
            deletedKeys=deleted,
        )


def timeline(
    key: SigningKey, deleted: list[str], *, is_emergency: bool
) -> list[tuple[datetime, str]]:
    """The events of the rotation with their times, oldest first. An emergency deletes keys."""
    others = SigningKey.objects.filter(algorithm=key.algorithm).exclude(kid=key.kid)
    events = [(key.created_at, f"{key} is published in the JWKS.")]
    if is_emergency:
        seconds = int(RELOAD_AFTER_SECONDS)
        events.append((key.active_from, f"It signs all new tokens, within {seconds} seconds."))
        for gone in deleted:
            events.append((key.active_from, f"{gone} is removed; every token of it has ended."))
        return events
    events.append((key.active_from, "It signs all new tokens from now on."))
    for other in others.filter(removed_at__gt=key.created_at):
        if other.retired_at is not None and other.removed_at is not None:
            events.append((other.retired_at, f"{other} no longer signs; its tokens stay valid."))
            events.append((other.removed_at, f"{other} is removed; its last token has ended."))
    return sorted(events)
