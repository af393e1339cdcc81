from argparse import ArgumentParser
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models import Q

from core.database_clock import database_time
from core.formatting import counted
from organizations.models import Organization
from organizations.tenancy.scope import organization_scope
from tokens import known_secrets
from tokens.keys import reencrypt_signing_keys
from tokens.models import Credential

WIDTH = 30
PEPPER = "AGENTIDP_SECRET_PEPPER"

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = (
        "After all processes use a new server secret: migrate what is stored under the old "
        "one, and report what still needs it (docs/how-to/rotate-server-secrets.md)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--forget",
            choices=known_secrets.NAMES,
            help=(
                "use the current secret from now on: the older one is lost or must no longer be "
                "accepted"
            ),
        )

    def handle(self, *args: Any, forget: str | None, **options: Any) -> None:
        if forget:
            known_secrets.forget(forget)
            logger.warning("secret.forgotten", name=forget)
            self.stdout.write(f"The next start accepts {forget} as it is set.")
            return
        known_secrets.require_known_secrets()
        count = 0
        for count, of in reencrypt_signing_keys():
            self.show("signing keys", count, of)
        verb = "is" if count == 1 else "are"
        keys = counted(count, "signing keys")
        self.stdout.write(f"{keys} {verb} encrypted under the current key.")
        for name in known_secrets.in_rotation():
            if name == PEPPER:
                self.report_credentials(known_secrets.in_use_everywhere(PEPPER))
            else:
                self.stdout.write(f"{name}: {UNTIL[name]}")

    def report_credentials(self, since: datetime) -> None:
        waiting, organizations = 0, list(Organization.objects.order_by("id"))
        for number, organization in enumerate(organizations, 1):
            with organization_scope(organization):
                waiting += under_older_pepper(since)
            self.show("organizations", number, len(organizations))
        self.stdout.write(
            f"{PEPPER}: {of_credentials(waiting)} since {since:%Y-%m-%d %H:%M} UTC"
            + (". Keep its fallbacks." if waiting else ". Remove its fallbacks.")
        )

    def show(self, what: str, number: int, of: int) -> None:
        """Show a progress bar on a terminal."""
        if self.stderr.isatty():
            bar = "#" * (WIDTH * number // of)
            self.stderr.write(f"\r{what} [{bar:<{WIDTH}}] {number}/{of}", ending="")
            if number == of:
                self.stderr.write("")


def of_credentials(waiting: int) -> str:
    verb = "has" if waiting == 1 else "have"
    return f"{counted(waiting, 'live credentials')} {verb} not been used"


def under_older_pepper(since: datetime) -> int:
    """The number of live credentials with a secret that has neither been created nor used since
    then, an old one in its grace period included.
    """
    older = Credential.objects.usable().filter(created_at__lt=since)
    alone = older.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=since),
        Q(rotated_at=None) | Q(rotated_at__lt=since),
        previous_secret_mac=None,
    )
    rotated = older.exclude(previous_secret_mac=None).with_usability()
    now = database_time()
    return alone.count() + sum(has_older_secret(each, since, now) for each in rotated.iterator())


def has_older_secret(credential: Credential, since: datetime, now: datetime) -> bool:
    """Whether a secret of a rotated credential may still be under the older pepper: uses of the
    current one and of old ones are told apart, but not those of several old ones.
    """
    last, last_of_old = credential.last_used_at, credential.previous_last_used_at
    is_new = credential.rotated_at is not None and credential.rotated_at >= since
    is_used = last is not None and last >= since and (last_of_old is None or last > last_of_old)
    old = credential.live_old_secrets(now)
    is_old_used = len(old) == 1 and last_of_old is not None and last_of_old >= since
    return not (is_new or is_used) or bool(old and not is_old_used)


hours = settings.SESSION_COOKIE_AGE // 3600
UNTIL = {
    "AGENTIDP_SECRET_KEY": f"remove its fallbacks {hours} hours after the change: sessions and "
    "forms that it signed have ended by then.",
    "AGENTIDP_KEY_ENCRYPTION_KEY": "nothing needs its fallbacks any more. Remove them.",
}
