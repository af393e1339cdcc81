from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from agents.models import Agent
from core.text import NameInput
from organizations.models import Organization
from tokens.access_tokens import ACCESS_TOKEN_SECONDS
from tokens.models import (
    MAX_IDENTIFIER_LENGTH,
    MAX_SCOPE_LENGTH,
    MAX_TOKEN_LIFETIME,
    MIN_TOKEN_LIFETIME,
    Resource,
)
from tokens.resources import (
    MAX_DESCRIPTION,
    MAX_SCOPES,
    ResourceAlreadyExists,
    identifier_problem,
    scopes_problem,
)


class ResourceForm(forms.Form):
    """The editable fields of a resource, named as in the actions."""

    name = NameInput(max_length=100, help_text="The name that people see.")
    described_scopes = forms.CharField(
        label="Scopes",
        required=False,
        max_length=MAX_SCOPES * (MAX_SCOPE_LENGTH + MAX_DESCRIPTION + 2),
        help_text="One per line: a name of the service's own such as files:read, then what it "
        "allows, if you like.",
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false"}),
    )
    token_lifetime = forms.IntegerField(
        label="Token lifetime",
        required=False,
        min_value=MIN_TOKEN_LIFETIME,
        max_value=MAX_TOKEN_LIFETIME,
        help_text=f"In seconds, from {MIN_TOKEN_LIFETIME} to {MAX_TOKEN_LIFETIME:,}. Leave "
        f"empty for {ACCESS_TOKEN_SECONDS:,}, as for tokens of AgentIdP itself.",
    )

    def __init__(self, data: QueryDict | None = None, *, resource: Resource | None = None) -> None:
        super().__init__(data, initial=_initial_of(resource) if resource else None)

    def clean_described_scopes(self) -> list[dict[str, str]]:
        scopes = []
        for line in self.cleaned_data["described_scopes"].splitlines():
            if not line.strip():
                continue
            name, _, description = line.strip().partition(" ")
            if len(description) > MAX_DESCRIPTION or not description.isprintable():
                problem = f"Describe {name} in at most {MAX_DESCRIPTION} printable characters."
                raise ValidationError(problem)
            scopes.append({"name": name, "description": description.strip()})
        if problem := scopes_problem([scope["name"] for scope in scopes]):
            raise ValidationError(problem)
        return scopes


class NewResourceForm(ResourceForm):
    """A new resource with its identifier, which cannot be changed later."""

    identifier = forms.CharField(
        label="Address",
        max_length=MAX_IDENTIFIER_LENGTH,
        strip=False,
        help_text="Where clients reach the service, for example https://mcp.example.com/mcp. Its "
        "tokens name it, and it cannot be changed later.",
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order = ["identifier", "name", "described_scopes", "token_lifetime"]

    def __init__(self, data: QueryDict | None = None, *, organization: Organization) -> None:
        super().__init__(data)
        self.known = Resource.objects.for_organization(organization)

    def clean_identifier(self) -> str:
        identifier: str = self.cleaned_data["identifier"]
        if problem := identifier_problem(identifier):
            raise ValidationError(problem)
        if self.known.filter(identifier=identifier).exists():
            raise ValidationError(ResourceAlreadyExists.message)
        return identifier


class GrantForm(forms.Form):
    """An agent and its scopes at a resource."""

    agent = forms.CharField(
        max_length=255,
        help_text="The agent's address or client id.",
        widget=forms.TextInput(
            attrs={"list": "known-agents", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    scopes = forms.MultipleChoiceField(
        label="Allowed scopes", required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        resource: Resource,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial, auto_id="grant-%s")
        self.agents = Agent.objects.filter(organization_id=resource.organization_id).counted()
        self.fields["scopes"].choices = [  # type: ignore[attr-defined]
            (scope["name"], _label_of(scope)) for scope in resource.described_scopes
        ]
        if not resource.scopes:
            del self.fields["scopes"]

    def clean_agent(self) -> Agent:
        agent: Agent | None = self.agents.identified_by(self.cleaned_data["agent"]).first()
        if agent is None:
            raise ValidationError("No agent of this organization has this address or client id.")
        return agent

    def clean(self) -> dict[str, Any]:
        return {"scopes": [], **self.cleaned_data}


def _initial_of(resource: Resource) -> dict[str, Any]:
    lines = [f"{scope['name']} {scope['description']}" for scope in resource.described_scopes]
    return {
        "name": resource.name,
        "described_scopes": "\n".join(line.strip() for line in lines),
        "token_lifetime": resource.token_lifetime,
    }


def _label_of(scope: dict[str, str]) -> str:
    name, description = scope["name"], scope["description"]
    return f"{description} ({name})" if description else name
