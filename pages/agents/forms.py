"""Forms for agents. The model validates the values."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from agents.actions import is_administrator
from agents.models import (
    MAX_CAPABILITIES,
    MAX_RUNBOOK_URL,
    Agent,
    AgentAlreadyExists,
    default_scopes,
    validate_capability,
    validate_runbook_url,
)
from core.text import AddressInput, NameInput
from organizations.actors import Actor, Scope
from organizations.models import Organization, Principal
from pages.agents.credential_forms import CredentialForm

UNCHOSEN = ("", "Choose one")
NOT_BUILT_YET = ("webhooks:", "flows:")


class AgentForm(forms.Form):
    """An agent's identity and the scopes that its tokens may have."""

    email = AddressInput(
        label="Address",
        max_length=255,
        help_text="Unique in the organization. The part before the @ becomes its short name.",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    agent_type = forms.ChoiceField(label="Type", choices=(UNCHOSEN, *Agent.Type.choices))
    version = forms.CharField(
        max_length=64,
        initial="1.0.0",
        help_text="A semantic version.",
        validators=Agent._meta.get_field("version").validators,
    )
    owner = NameInput(max_length=128, help_text="The team or person responsible for it.")
    deployment_env = forms.ChoiceField(
        label="Environment", choices=(UNCHOSEN, *Agent.Environment.choices)
    )
    runbook_url = forms.CharField(
        label="Runbook",
        required=False,
        max_length=MAX_RUNBOOK_URL,
        help_text="Where to read what to do when this agent fails. An https URL.",
        validators=[validate_runbook_url],
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
    )
    capabilities = forms.CharField(
        help_text="One per line, as resource:action. At least one.",
        max_length=MAX_CAPABILITIES * 129,
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono", "spellcheck": "false"}),
    )
    scopes = forms.MultipleChoiceField(
        label="Allowed scopes",
        required=False,
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(
        self, data: QueryDict | None = None, *, actor: Actor, agent: Agent | None = None
    ) -> None:
        initial = initial_of(agent) if agent else {"scopes": default_scopes()}
        super().__init__(data, initial=initial)
        self.others = Agent.objects.for_organization(actor.organization)
        if agent:
            self.others = self.others.exclude(pk=agent.pk)
        held = set(agent.scopes) if agent else set()
        closed = set() if is_administrator(agent) else {Scope.ADMIN_ORGS}
        self.fields["scopes"].choices = [  # type: ignore[attr-defined]
            (scope.value, scope.label)
            for scope in Scope
            if scope.value in held
            or (actor.may(scope) and scope not in closed and not _is_later(scope))
        ]

    def clean_email(self) -> str:
        """Report a taken address together with the other errors; the database catches concurrent
        requests.
        """
        email: str = self.cleaned_data["email"]
        if self.others.filter(email__iexact=email).exists():
            raise ValidationError(AgentAlreadyExists.message)
        return email

    def clean_capabilities(self) -> list[str]:
        names = re.split(r"[\s,]+", self.cleaned_data["capabilities"].strip())
        if len(names) > MAX_CAPABILITIES:
            raise ValidationError(f"At most {MAX_CAPABILITIES}.")
        for name in names:
            if len(name) > 128:
                raise ValidationError("A capability has at most 128 characters.")
            try:
                validate_capability(name)
            except ValidationError as error:
                problem = f"“{name}” is not a capability. {error.messages[0]}"
                raise ValidationError(problem) from None
        return list(dict.fromkeys(names))

    def clean_scopes(self) -> list[str]:
        return sorted(self.cleaned_data["scopes"])


class RegistrationForm(AgentForm, CredentialForm):
    """A new agent, with its first credential unless that is switched off."""

    has_credential = forms.BooleanField(
        label="Create its first credential",
        required=False,
        initial=True,
        help_text="The next page shows its secret once, with ready commands.",
    )

    def __init__(self, data: QueryDict | None = None, *, actor: Actor) -> None:
        super().__init__(data, actor=actor)
        self.fields["name"].label = "Credential name"

    def clean(self) -> None:
        """Mistakes in the fields of a credential that is not wanted do not matter."""
        if not self.wants_credential:
            for name in CredentialForm.base_fields:
                self.errors.pop(name, None)

    @property
    def wants_credential(self) -> bool:
        return bool(self.cleaned_data["has_credential"])

    @property
    def agent_fields(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in AgentForm.base_fields}

    @property
    def credential_fields(self) -> dict[str, Any]:
        return {
            "name": self.cleaned_data["name"],
            "expires_at": self.cleaned_data["expires_on"],
        }


class AgentMemberForm(forms.Form):
    """An agent of the organization that is to become a member."""

    agent = forms.CharField(
        max_length=255,
        help_text="The agent's address or client id.",
        widget=forms.TextInput(
            attrs={"list": "known-agents", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    role = forms.ChoiceField(choices=Principal.Role.choices)

    def __init__(self, data: QueryDict | None = None, *, organization: Organization) -> None:
        super().__init__(data, auto_id="new-member-%s")
        self.agents = Agent.objects.for_organization(organization).counted()

    def clean_agent(self) -> Agent:
        agent: Agent | None = self.agents.identified_by(self.cleaned_data["agent"]).first()
        if agent is None:
            raise ValidationError("No agent of this organization has this address or client id.")
        return agent


def initial_of(agent: Agent) -> dict[str, Any]:
    names = ["email", "agent_type", "version", "owner", "deployment_env", "runbook_url", "scopes"]
    values = {name: getattr(agent, name) for name in names}
    return values | {"capabilities": "\n".join(agent.capabilities)}


def _is_later(scope: str) -> bool:
    return scope.startswith(NOT_BUILT_YET)
