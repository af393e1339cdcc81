"""Creating a demonstration company: people, agents, credentials and a resource, with their audit
log.
"""

import random
from datetime import datetime, timedelta
from uuid import UUID

from agents.models import Agent
from core.days import DAY
from demo import history, traffic
from demo.companies import ADMIN, COMPANIES, Company, Part, Person, uuid_at
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.models import Membership, Organization, Principal, User
from organizations.tenancy.scope import organization_scope
from tokens.models import Credential, Resource, ResourceGrant, make_client_secret

GRACE = timedelta(days=7)
"""Of the rotation that is not over."""
NAMES = {
    Agent.Environment.PRODUCTION: "prod, k8s",
    Agent.Environment.STAGING: "staging, k8s",
    Agent.Environment.DEVELOPMENT: "laptop",
}
SECOND_NAME = "batch"


def found_organization(company: Company, now: datetime) -> Organization:
    """Create the organization with its people and agents, and the audit log of how they were
    added.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    founded_at = today - (traffic.DAYS + 5) * DAY + timedelta(hours=7)
    organization = Organization.objects.create(
        id=key_of(company, "organization", founded_at),
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
    """Create the members; return the owner's membership."""
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
    """Create a service that the first agents may get tokens for."""
    resource = Resource.objects.create(
        id=key_of(company, "resource", at),
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
            id=key_of(company, f"grant-{number}", allowed_at),
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
        id=key_of(company, part.name, at),
        organization=organization,
        email=f"{part.name}@agents.{company.domain}",
        agent_type=part.agent_type,
        version=part.version,
        capabilities=part.capabilities.split(),
        owner=part.owner,
        deployment_env=part.environment,
        runbook_url=part.runbook_url(company),
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
                AuditAction.CREDENTIAL_ROTATED,
                credential,
                credential.rotated_at,
                graceSeconds=int(GRACE.total_seconds()) if credential.previous_expires_at else 0,
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
    """The agent's credentials according to its story. Nobody knows their secrets."""
    chance = random.Random(f"{traffic.SEED} {company.slug} {part.name} secrets")  # noqa: S311
    story = part.story
    made = [at + timedelta(minutes=5)]
    made += [at + DAY] if story in {"spike", "unused", "revoked"} else []
    made += [now - 20 * DAY] if story == "never used" else []
    credentials = []
    for number, created_at in enumerate(made):
        credential = Credential(
            id=key_of(company, f"{part.name} credential {number}", created_at),
            organization=agent.organization,
            agent=agent,
            created_at=created_at,
            name=SECOND_NAME if number else NAMES[part.environment],
        )
        credential.set_secret(make_client_secret())
        credential.secret_hint = f"{chance.randrange(16**4):04x}"
        credentials.append(credential)
    if story == "expiring":
        credentials[0].expires_at = now + 5 * DAY
    if story == "revoked":
        credentials[1].status = Credential.Status.REVOKED
        credentials[1].revoked_at = now - 25 * DAY
    if story == "rotating":
        rotated_at = now - 3 * DAY
        credentials[0].replace_secret(make_client_secret(), GRACE, rotated_at)
        credentials[0].secret_hint = f"{chance.randrange(16**4):04x}"
        credentials[0].previous_last_used_at = rotated_at + DAY
    if story == "rotated out":
        credentials[0].rotated_at = now - 6 * DAY
    return credentials


def key_of(company: Company, name: str, at: datetime) -> UUID:
    """A UUIDv7 of that time whose random part is derived from the name, hence reproducible."""
    chance = random.Random(f"{traffic.SEED} {company.slug} {name}")  # noqa: S311 - not a secret
    return uuid_at(at, chance)
