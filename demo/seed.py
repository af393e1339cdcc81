"""The demonstration: two organizations with people, agents and ninety days of token requests.

The same from a fixed seed for everyone on the same day. A second run adds what has happened since.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from agents.models import Agent, default_scopes
from analytics.models import AgentMonthUsage
from demo import history, runs, traffic
from demo.client import open_client
from demo.companies import (
    ADMIN,
    COMPANIES,
    Company,
    Part,
    Person,
    uuid_at,
)
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.models import (
    UNIDENTIFIED_ORGANIZATION_ID,
    Membership,
    Organization,
    Principal,
    User,
)
from organizations.tenancy.scope import organization_scope
from tokens.models import (
    Credential,
    MonthlyUsage,
    Resource,
    ResourceGrant,
    TokenEvent,
    make_client_secret,
)

DAY = timedelta(days=1)
NOT_OURS = (
    "The demonstration goes into an empty database, or into its own: this one holds something "
    "else, so nothing was changed. Unset DATABASE_URL to use the project's own."
)


class SomebodysDatabase(Exception):
    """Why the demonstration does not enter a database, in one sentence."""


@dataclass(frozen=True)
class DemoAccess:
    """How to get into the demonstration: as a person, and as an agent."""

    login: str
    password: str
    client_id: str
    client_secret: str
    events: int
    """How many token events this run added."""
    executions: int


def require_own_database() -> None:
    """SomebodysDatabase unless nothing is in it yet, or the demonstration is already.

    Its password is known to everybody, and its runs and requests would stand among real ones.
    """
    tables = set(connection.introspection.table_names())
    if not tables:
        return
    is_own = Organization._meta.db_table in tables
    if is_own and not own_organizations():
        others = Organization.objects.exclude(pk=UNIDENTIFIED_ORGANIZATION_ID)
        is_own = not (others.exists() or User.objects.exists())
    if not is_own:
        raise SomebodysDatabase(NOT_OURS)


def own_organizations() -> list[Organization]:
    """The organizations that the demonstration made; SomebodysDatabase where one only has the name
    of one of them."""
    of_demo = {company.slug: company for company in COMPANIES}
    named = list(
        Organization.objects.filter(slug__in=of_demo).only("id", "slug", "name", "created_at")
    )
    if any(one.pk != _key(of_demo[one.slug], "organization", one.created_at) for one in named):
        raise SomebodysDatabase(NOT_OURS)
    return named


@transaction.atomic
def seed(now: datetime | None = None) -> DemoAccess:
    """Make the demonstration data, or bring it up to now; a new client secret each time."""
    require_own_database()
    now = (now or timezone.now()).astimezone(UTC)
    events = executions = 0
    for company in COMPANIES:
        organization = Organization.objects.filter(slug=company.slug).first()
        if organization is None:
            organization = _found(company, now)
        with organization_scope(organization):
            events += _bring_up_to(now, company, organization)
            executions += bring_executions_up_to(now, company, organization)
    client_id, secret = open_client()
    return DemoAccess(ADMIN.username, ADMIN.password, str(client_id), secret, events, executions)


def _found(company: Company, now: datetime) -> Organization:
    """The organization, its people and agents, and the audit log of how they came about."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    founded_at = today - (traffic.DAYS + 5) * DAY + timedelta(hours=7)
    organization = Organization.objects.create(
        id=_key(company, "organization", founded_at),
        name=company.name,
        slug=company.slug,
        plan_tier=company.plan_tier,
        max_tokens_per_month=company.max_tokens_per_month,
        time_zone=company.time_zone,
        created_at=founded_at,
    )
    owner = _people(company, organization, founded_at)
    with organization_scope(organization):
        log = history.History(organization, Actor.for_person(owner))
        log.add(AuditAction.ORG_CREATED, organization, founded_at)
        for number, part in enumerate(company.parts):
            registered_at = founded_at + timedelta(hours=2 + number * 1.7)
            _agent(company, organization, part, registered_at, now, log)
        _resource(company, organization, founded_at + 3 * DAY, log)
        log.write()
    return organization


def _people(company: Company, organization: Organization, at: datetime) -> Membership:
    """The members; gives back the owner's membership."""
    for person in company.people:
        user = User.objects.filter(email=address_of(person)).first() or _user(person, at)
        Membership.objects.create(
            organization=organization, user=user, role=person.role, created_at=at
        )
    return Membership.objects.select_related("user", "organization").get(
        organization=organization, role=Membership.Role.OWNER
    )


def _user(person: Person, at: datetime) -> User:
    user = User(
        email=address_of(person),
        username=person.username,
        name=person.name,
        is_staff=person is ADMIN,
        is_superuser=person is ADMIN,
        email_verified_at=at,
        created_at=at,
    )
    if person.password:
        user.set_password(person.password)
    else:
        user.set_unusable_password()
    user.save()
    return user


def address_of(person: Person) -> str:
    company = next(c for c in COMPANIES if person in c.people)
    return f"{person.username}@{company.domain}"


def _resource(
    company: Company, organization: Organization, at: datetime, log: history.History
) -> None:
    """A service that the first agents may have tokens for."""
    resource = Resource.objects.create(
        id=_key(company, "resource", at),
        organization=organization,
        identifier=f"https://documents.{company.domain}/mcp",
        name="Document store",
        scopes=["documents:read", "documents:write"],
        scope_descriptions={
            "documents:read": "Find and read documents",
            "documents:write": "Store documents",
        },
        token_lifetime=600,
        created_at=at,
    )
    log.add(AuditAction.RESOURCE_CREATED, resource, at, scopes=resource.scopes)
    agents = Agent.objects.for_organization(organization).active().order_by("created_at")
    for number, agent in enumerate(agents[:3]):
        allowed_at = at + timedelta(minutes=number + 1)
        scopes = resource.scopes[: 1 + number % 2]
        ResourceGrant.objects.create(
            id=_key(company, f"grant-{number}", allowed_at),
            organization=organization,
            resource=resource,
            agent=agent,
            scopes=scopes,
            created_at=allowed_at,
        )
        log.add(
            AuditAction.RESOURCE_AGENT_ALLOWED,
            resource,
            allowed_at,
            agent_id=agent.pk,
            scopes=scopes,
        )


def _agent(
    company: Company,
    organization: Organization,
    part: Part,
    at: datetime,
    now: datetime,
    log: history.History,
) -> None:
    agent = Agent(
        id=_key(company, part.name, at),
        organization=organization,
        email=f"{part.name}@agents.{company.domain}",
        agent_type=part.agent_type,
        version=part.version,
        capabilities=part.capabilities.split(),
        owner=part.owner,
        deployment_env=part.environment,
        status=part.status,
        created_at=at,
        decommissioned_at=now - 48 * DAY if part.story == "decommissioned" else None,
    )
    Principal.objects.create(id=agent.pk, organization=organization, created_at=at)
    agent.save(force_insert=True)
    log.add(AuditAction.AGENT_CREATED, agent, at, agentType=str(part.agent_type))
    for credential in _credentials(company, part, agent, at, now):
        credential.save(force_insert=True)
        log.add(AuditAction.CREDENTIAL_GENERATED, credential, credential.created_at)
        if credential.rotated_at:
            log.add(
                AuditAction.CREDENTIAL_ROTATED, credential, credential.rotated_at, graceSeconds=0
            )
        if credential.revoked_at:
            log.add(AuditAction.CREDENTIAL_REVOKED, credential, credential.revoked_at)
    if part.story == "suspended":
        log.add(AuditAction.AGENT_SUSPENDED, agent, now - 9 * DAY)
    if agent.decommissioned_at:
        log.add(AuditAction.AGENT_DECOMMISSIONED, agent, agent.decommissioned_at)


def _credentials(
    company: Company, part: Part, agent: Agent, at: datetime, now: datetime
) -> list[Credential]:
    """What its story says about the agent's secrets. Nobody knows those secrets."""
    chance = random.Random(f"{traffic.SEED} {company.slug} {part.name} secrets")  # noqa: S311
    story = part.story
    made = [at + timedelta(minutes=5)]
    made += [at + DAY] if story in {"spike", "unused", "revoked"} else []
    made += [now - 20 * DAY] if story == "never used" else []
    credentials = []
    for number, created_at in enumerate(made):
        credential = Credential(
            id=_key(company, f"{part.name} credential {number}", created_at),
            organization=agent.organization,
            agent=agent,
            created_at=created_at,
        )
        credential.set_secret(make_client_secret())
        credential.secret_hint = f"{chance.randrange(16**4):04x}"
        credentials.append(credential)
    if story == "expiring":
        credentials[0].expires_at = now + 5 * DAY
    if story == "revoked":
        credentials[1].status = Credential.Status.REVOKED
        credentials[1].revoked_at = now - 25 * DAY
    if story == "rotated out":
        credentials[0].rotated_at = now - 6 * DAY
    return credentials


def _bring_up_to(now: datetime, company: Company, organization: Organization) -> int:
    """Add the requests since the last run; the number of events."""
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
    """Add the executions since the last run; the number of new ones."""
    players = [_player(organization, company, part) for part in company.parts]
    return runs.bring_up_to(now.astimezone(UTC), company, organization, players)


def _player(organization: Organization, company: Company, part: Part) -> traffic.Player:
    email = f"{part.name}@agents.{company.domain}"
    agent_id = Agent.objects.for_organization(organization).get(email=email).pk
    credentials = Credential.objects.filter(agent_id=agent_id).order_by("created_at", "id")
    return traffic.Player(part, agent_id, tuple(credentials.values_list("pk", flat=True)))


def _remember_use(organization: Organization, since: datetime) -> None:
    """What issuing keeps beside the events: last use of credentials, tokens of the month."""
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


def _key(company: Company, name: str, at: datetime) -> UUID:
    """A UUIDv7 of that moment whose random part follows from the name: the same for everyone."""
    chance = random.Random(f"{traffic.SEED} {company.slug} {name}")  # noqa: S311 - not a secret
    return uuid_at(at, chance)
