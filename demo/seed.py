"""The demonstration: two organizations with people, agents and ninety days of token requests.

A fixed seed makes it the same for everyone on the same day. A second run adds what has happened
since.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from agents.models import Agent, default_scopes
from analytics.models import AgentMonthUsage
from core.days import DAY
from demo import runs, traffic
from demo.client import open_client
from demo.companies import ADMIN, COMPANIES, Company, Part
from demo.decisions import decide
from demo.founding import found_organization, key_of
from organizations.models import (
    UNIDENTIFIED_ORGANIZATION_ID,
    Organization,
    User,
)
from organizations.tenancy.scope import organization_scope
from tokens.models import (
    Credential,
    MonthlyUsage,
    TokenEvent,
)

NOT_OURS = (
    "The demonstration goes into an empty database, or into its own: this one holds something "
    "else, so nothing was changed. Unset DATABASE_URL to use the project's own."
)


class ForeignDatabase(Exception):
    """The demonstration refuses to use a database; the message says why in one sentence."""


@dataclass(frozen=True)
class DemoAccess:
    """The credentials of the demonstration, for a person and for an agent."""

    login: str
    password: str
    client_id: str
    client_secret: str
    events: int
    """The number of token events that this run added."""
    executions: int


def require_own_database() -> None:
    """Raise ForeignDatabase unless the database is empty or already holds the demonstration.

    The demonstration's password is public, and its runs and requests would mix with real ones.
    """
    tables = set(connection.introspection.table_names())
    if not tables:
        return
    is_own = Organization._meta.db_table in tables
    if is_own and not own_organizations():
        others = Organization.objects.exclude(pk=UNIDENTIFIED_ORGANIZATION_ID)
        is_own = not (others.exists() or User.objects.exists())
    if not is_own:
        raise ForeignDatabase(NOT_OURS)


def own_organizations() -> list[Organization]:
    """The demonstration's organizations; raises ForeignDatabase where one merely has the same
    name.
    """
    of_demo = {company.slug: company for company in COMPANIES}
    named = list(
        Organization.objects.filter(slug__in=of_demo).only("id", "slug", "name", "created_at")
    )
    if any(one.pk != key_of(of_demo[one.slug], "organization", one.created_at) for one in named):
        raise ForeignDatabase(NOT_OURS)
    return named


@transaction.atomic
def seed(now: datetime | None = None) -> DemoAccess:
    """Create the demonstration data or bring it up to now; creates a new client secret each
    time.
    """
    require_own_database()
    now = (now or timezone.now()).astimezone(UTC)
    events = executions = 0
    for company in COMPANIES:
        organization = Organization.objects.filter(slug=company.slug).first()
        if organization is None:
            organization = found_organization(company, now)
        with organization_scope(organization):
            events += _bring_up_to(now, company, organization)
            executions += bring_executions_up_to(now, company, organization)
            decide(organization, now)
    client_id, secret = open_client()
    return DemoAccess(ADMIN.username, ADMIN.password, str(client_id), secret, events, executions)


def _bring_up_to(now: datetime, company: Company, organization: Organization) -> int:
    """Add the requests since the last run; return the number of events."""
    start = (now - (traffic.DAYS - 1) * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    seeded = TokenEvent.objects.filter(ip_address__startswith="10.20.0.")
    latest = seeded.order_by("-created_at").values_list("created_at", flat=True).first()
    since = max(latest, start) if latest else start
    players = [_player(organization, company, part) for part in company.parts]
    found = list(traffic.bursts(company, players, now))
    scope = " ".join(default_scopes())
    added = traffic.record(organization, found, since=since, now=now, scope=scope)
    if added:
        _remember_use(organization, since)
    return added


def bring_executions_up_to(now: datetime, company: Company, organization: Organization) -> int:
    """Add the executions since the last run; return the number of new ones."""
    players = [_player(organization, company, part) for part in company.parts]
    return runs.bring_up_to(now.astimezone(UTC), company, organization, players)


def _player(organization: Organization, company: Company, part: Part) -> traffic.Player:
    email = f"{part.name}@agents.{company.domain}"
    agent_id = Agent.objects.for_organization(organization).get(email=email).pk
    credentials = Credential.objects.filter(agent_id=agent_id).order_by("created_at", "id")
    return traffic.Player(part, agent_id, tuple(credentials.values_list("pk", flat=True)))


def _remember_use(organization: Organization, since: datetime) -> None:
    """Set what issuing updates beside the events: last use of credentials, tokens of the month."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE tokens_credential SET last_used_at = used.at FROM ("
            "  SELECT credential_id, max(created_at) AS at FROM tokens_tokenevent"
            "  WHERE outcome = 'issued' AND organization_id = %s AND created_at > %s GROUP BY 1"
            ") used WHERE tokens_credential.id = used.credential_id",
            [organization.pk, since],
        )
    months = (
        AgentMonthUsage.objects.for_organization(organization)
        .values("month")
        .annotate(total=Sum("issued"))
    )
    MonthlyUsage.objects.bulk_create(
        [
            MonthlyUsage(organization=organization, month=row["month"], issued=row["total"])
            for row in months
        ],
        update_conflicts=True,
        unique_fields=["organization_id", "month"],
        update_fields=["issued"],
    )
