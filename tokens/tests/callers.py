"""A client of the token endpoint, with everything that its requests depend on."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents.models import Agent
from agents.tests.factories import make_agent
from core.ids import uuid7
from core.throttling import Guesses, count_failure
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_organization
from tokens.access_tokens import new_token_id
from tokens.issue_sql import Question
from tokens.models import Credential, MonthlyUsage, TokenEvent, make_client_secret
from tokens.peppers import stored_mac
from tokens.tests.clients import FormClient, basic
from tokens.tests.factories import make_credential, make_grant, make_resource

URL = "/api/v1/token"
RESOURCE = "https://files.example.com/mcp"
ADDRESS = "192.0.2.7"


def question_of(client_id: UUID, secret: str, **fields: Any) -> Question:
    """The request of a client, as the database hears it."""
    asked = {"scope": None, "ip_address": ADDRESS, "resource": None} | fields
    return Question(
        client_id=client_id,
        mac=stored_mac(client_id, secret),
        event_id=uuid7(),
        token_id=new_token_id(),
        guesses=Guesses.at("token", client_id, asked["ip_address"] or ADDRESS),
        **asked,
    )


class Caller:
    """An agent with a credential that was rotated, and a resource that it may use."""

    def __init__(self) -> None:
        self.organization = make_organization()
        self.agent: Agent = make_agent(self.organization, scopes=["agents:read", "tokens:read"])
        self.credential, self.old_secret = make_credential(self.agent, name="prod")
        self.secret = make_client_secret()
        self.credential.replace_secret(self.secret, timedelta(hours=1), timezone.now())
        with organization_scope(self.organization):
            self.credential.save()
        self.resource = make_resource(
            self.organization, identifier=RESOURCE, scopes=["a", "b"], token_lifetime=600
        )
        make_grant(self.resource, self.agent, ["a"])

    def question(self, secret: str | None = None, **fields: Any) -> Question:
        return question_of(fields.pop("client_id", self.agent.pk), secret or self.secret, **fields)

    def change(self, **fields: Any) -> None:
        with organization_scope(self.organization):
            Credential.objects.filter(pk=self.credential.pk).update(**fields)

    def fail(self, address: str = ADDRESS) -> None:
        count_failure(Guesses.at("token", self.agent.pk, address))

    def ask(self, secret: str | None = None) -> Any:
        """Send a token request, and return its response."""
        proof = basic(self.agent.pk, secret or self.secret)
        return FormClient().post(URL, "grant_type=client_credentials", headers=proof)

    def counted(self) -> tuple[int, int]:
        """The issued tokens of this month, and the recorded ones."""
        with organization_scope(self.organization):
            usage = MonthlyUsage.objects.first()
            recorded = TokenEvent.objects.filter(outcome=TokenEvent.Outcome.ISSUED)
            return usage.issued if usage else 0, recorded.count()
