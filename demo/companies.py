"""The two organizations of the demonstration with their people and agents."""

import random
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from agents.models import Agent
from organizations.models import Membership, Organization

ROUTER, SCREENER = Agent.Type.ROUTER, Agent.Type.SCREENER
CLASSIFIER, EXTRACTOR = Agent.Type.CLASSIFIER, Agent.Type.EXTRACTOR
SUMMARIZER, MONITOR = Agent.Type.SUMMARIZER, Agent.Type.MONITOR
ORCHESTRATOR, CUSTOM = Agent.Type.ORCHESTRATOR, Agent.Type.CUSTOM
PRODUCTION, STAGING = Agent.Environment.PRODUCTION, Agent.Environment.STAGING
DEVELOPMENT = Agent.Environment.DEVELOPMENT


@dataclass(frozen=True)
class Part:
    """An agent and its behaviour: tokens on a usual working day, and working hours."""

    name: str
    agent_type: Agent.Type
    owner: str
    capabilities: str
    per_day: int
    rhythm: str = "office"
    version: str = "1.0.0"
    environment: Agent.Environment = PRODUCTION
    status: Agent.Status = Agent.Status.ACTIVE
    refused_share: float = 0.004
    story: str = ""
    """Its special story; traffic.py and the credentials refer to these names."""

    def runbook_url(self, company: "Company") -> str:
        """The runbook's URL, which only agents in production have."""
        if self.environment != PRODUCTION:
            return ""
        return f"https://wiki.{company.domain}/runbooks/{self.name}"


@dataclass(frozen=True)
class Person:
    name: str
    username: str
    role: Membership.Role
    password: str = ""


@dataclass(frozen=True)
class Company:
    name: str
    slug: str
    plan_tier: Organization.Plan
    max_tokens_per_month: int | None
    time_zone: str
    office_zone: str
    people: tuple[Person, ...]
    parts: tuple[Part, ...]

    @property
    def domain(self) -> str:
        return f"{self.slug.partition('-')[0]}.example"


ADMIN = Person("Ada Winter", "admin", Membership.Role.OWNER, password="admin")  # noqa: S106

NORTHWIND = Company(
    name="Northwind Labs",
    slug="northwind-labs",
    plan_tier=Organization.Plan.ENTERPRISE,
    max_tokens_per_month=None,
    time_zone="UTC",
    office_zone="Europe/Berlin",
    people=(
        ADMIN,
        Person("Jonas Feld", "jonas", Membership.Role.ADMIN),
        Person("Mira Okafor", "mira", Membership.Role.OPERATOR),
        Person("Tomás Vidal", "tomas", Membership.Role.VIEWER),
    ),
    parts=(
        Part(
            "ingest-router", ROUTER, "platform", "document:route queue:write", 1060, version="3.2.0"
        ),
        Part("screener-01", SCREENER, "hiring", "resume:read resume:score", 9, version="2.4.1"),
        Part("screener-02", SCREENER, "hiring", "resume:read resume:score", 7, version="2.4.1"),
        Part("screener-03", SCREENER, "hiring", "resume:read resume:score", 6, version="2.4.0"),
        Part(
            "screener-04",
            *(SCREENER, "hiring", "resume:read resume:score", 44),
            version="2.5.0-rc.1",
            story="spike",
        ),
        Part("screener-05", SCREENER, "hiring", "resume:read resume:score", 4, version="2.4.1"),
        Part("summarizer-eu", SUMMARIZER, "research", "report:read report:write", 15, "long"),
        Part(
            "summarizer-us",
            SUMMARIZER,
            "research",
            "report:read report:write",
            9,
            "evening",
            story="rotating",
        ),
        Part("classifier-1", CLASSIFIER, "support", "ticket:read ticket:label", 9, version="1.9.2"),
        Part(
            "classifier-2", CLASSIFIER, "support", "ticket:read ticket:label", 11, version="1.9.2"
        ),
        Part("mail-classifier", CLASSIFIER, "support", "mail:read mail:label", 7, story="unused"),
        Part("invoice-extractor", EXTRACTOR, "finance", "invoice:read ledger:write", 7),
        Part(
            "claims-extractor",
            EXTRACTOR,
            "finance",
            "claim:read ledger:write",
            13,
            story="expiring",
        ),
        Part("contract-extractor", EXTRACTOR, "legal", "contract:read", 3, environment=STAGING),
        Part("report-writer", SUMMARIZER, "research", "report:write", 4, story="never used"),
        Part("monitor-night", MONITOR, "operations", "health:read", 4, "night", version="4.0.3"),
        Part("monitor-day", MONITOR, "operations", "health:read", 7, "steady", version="4.0.3"),
        Part("nightly-planner", ORCHESTRATOR, "operations", "job:plan job:start", 5, "night"),
        Part("crm-sync", CUSTOM, "sales", "contact:read contact:write", 11, story="rotated out"),
        Part("lead-ranker", CLASSIFIER, "sales", "lead:read", 6, story="revoked"),
        Part("translator-beta", CUSTOM, "research", "text:translate", 2, environment=DEVELOPMENT),
        Part(
            "quote-bot",
            *(CUSTOM, "sales", "quote:write", 9),
            status=Agent.Status.SUSPENDED,
            story="suspended",
        ),
        Part(
            "legacy-indexer",
            *(EXTRACTOR, "platform", "index:write", 12),
            version="0.9.8",
            status=Agent.Status.DECOMMISSIONED,
            story="decommissioned",
        ),
        Part("quickstart", CUSTOM, "platform", "report:read", 2, environment=DEVELOPMENT),
    ),
)

CONTOSO = Company(
    name="Contoso Research",
    slug="contoso-research",
    plan_tier=Organization.Plan.PRO,
    max_tokens_per_month=100_000,
    time_zone="America/New_York",
    office_zone="America/New_York",
    people=(
        ADMIN,
        Person("Ruth Delgado", "ruth", Membership.Role.ADMIN),
        Person("Sam Whitaker", "sam", Membership.Role.VIEWER),
    ),
    parts=(
        Part(
            "trial-matcher", SCREENER, "clinical", "trial:read patient:match", 41, version="1.2.0"
        ),
        Part(
            "trial-matcher-b", SCREENER, "clinical", "trial:read patient:match", 37, version="1.3.0"
        ),
        Part("paper-summarizer", SUMMARIZER, "library", "paper:read", 46, "long"),
        Part("paper-classifier", CLASSIFIER, "library", "paper:read paper:label", 31),
        Part("figure-extractor", EXTRACTOR, "library", "paper:read figure:write", 21),
        Part("lab-orchestrator", ORCHESTRATOR, "lab", "run:plan run:start", 27, "steady"),
        Part("freezer-monitor", MONITOR, "lab", "sensor:read", 24, "steady", version="5.1.0"),
        Part("sample-router", ROUTER, "lab", "sample:route", 28),
        Part("grant-writer", CUSTOM, "office", "grant:write", 6, environment=STAGING),
        Part("adverse-event-screener", SCREENER, "clinical", "event:read", 22, "long"),
        Part("data-cleaner", CUSTOM, "lab", "table:write", 19, "night"),
        Part("protocol-checker", CLASSIFIER, "clinical", "protocol:read", 12, story="expiring"),
        Part(
            "mouse-tracker",
            *(MONITOR, "lab", "sensor:read", 10),
            status=Agent.Status.SUSPENDED,
            story="suspended",
        ),
    ),
)

COMPANIES = (NORTHWIND, CONTOSO)
CLIENT = "quickstart"
"""The agent whose credential the demonstration prints."""


def uuid_at(at: datetime, chance: random.Random) -> UUID:
    """A UUIDv7 of that time whose random part comes from `chance`, hence reproducible."""
    value = int(at.timestamp() * 1000) << 80 | 0x7 << 76 | chance.getrandbits(12) << 64
    return UUID(int=value | 0b10 << 62 | chance.getrandbits(62))
