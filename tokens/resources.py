"""Resources: validating their identifiers, and allowing agents to get tokens for them.

A token names one receiver in `aud` (RFC 8707, RFC 9068 section 3). An agent gets no token for a
resource until its organization allows it.
"""

import re
from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from agents.models import Agent, AgentAlreadyDecommissioned
from core.constraints import refusing
from core.database_clock import database_time
from core.errors import DomainError, Forbidden, InvalidValue, NotFound
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization
from tokens.models import MAX_IDENTIFIER_LENGTH, MAX_SCOPE_LENGTH, Resource, ResourceGrant

MAX_RESOURCES = 500
MAX_SCOPES = 50
MAX_DESCRIPTION = 200
MAX_SCOPES_LENGTH = 1000
"""Characters of all scopes of a resource together, because every token contains them."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
DEFAULT_PORTS = {"https": "443", "http": "80"}
ADDRESS_FORM = re.compile(r"(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
HOST_FORM = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]")
PORT_FORM = re.compile(r"[0-9]{0,5}")
SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 section 3.3."""


class ResourceNotFound(NotFound):
    code = "RESOURCE_NOT_FOUND"
    message = "There is no resource with this id."


class ResourceAlreadyExists(DomainError):
    code = "RESOURCE_ALREADY_EXISTS"
    message = "A resource with this identifier already exists in the organization."


class TooManyResources(DomainError):
    code = "RESOURCE_LIMIT_EXCEEDED"
    message = f"An organization has at most {MAX_RESOURCES} resources. Delete one first."


def identifier_problem(identifier: str) -> str:
    """What is wrong with a resource's identifier, as a sentence, or "" if it is valid.

    Only the normal form of RFC 3986 sections 6.2.2 and 6.2.3 is valid. So one address cannot be two
    resources, and comparing character by character is sound.
    """
    if len(identifier) > MAX_IDENTIFIER_LENGTH:
        return f"Use at most {MAX_IDENTIFIER_LENGTH} characters."
    if "#" in identifier:
        return "Leave out the # and what follows it: an identifier has no fragment."
    try:
        parts = urlsplit(identifier)
    except ValueError:
        parts = urlsplit("")
    scheme, netloc = parts.scheme.lower(), parts.netloc.lower()
    host, _, port = netloc.partition(":") if "]" not in netloc else _after_bracket(netloc)
    is_address = (
        ADDRESS_FORM.fullmatch(identifier) is not None
        and scheme in DEFAULT_PORTS
        and HOST_FORM.fullmatch(host) is not None
        and PORT_FORM.fullmatch(port) is not None
    )
    if not is_address:
        return "Use a complete URL in ASCII, for example https://mcp.example.com/mcp."
    if scheme == "http" and host not in LOOPBACK:
        return "Use https. Plain http is for services on this machine: localhost or 127.0.0.1."
    path = _percent_normal(parts.path) or "/"
    if {".", ".."} & set(path.split("/")):
        return "Leave out the . and .. in the path."
    authority = host if port in {"", DEFAULT_PORTS[scheme]} else f"{host}:{port}"
    query = f"?{_percent_normal(parts.query)}" if "?" in identifier else ""
    normal = f"{scheme}://{authority}{path}{query}"
    if normal != identifier:
        return f"Write it in its normal form: {normal}"
    if _is_our_own(identifier):
        return "This is a URL of AgentIdP itself. Tokens for it need no resource."
    return ""


def _after_bracket(netloc: str) -> tuple[str, str, str]:
    address, _, rest = netloc.partition("]")
    return f"{address}]", ":", rest[1:] if rest[:1] in {":", ""} else "no port"


def _percent_normal(text: str) -> str:
    """The text with unreserved characters decoded and all other percent-encoding in upper case."""

    def normal(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        is_unreserved = character.isascii() and (character.isalnum() or character in "-._~")
        return character if is_unreserved else found[0].upper()

    return re.sub(r"%([0-9A-Fa-f]{2})", normal, text)


def _is_our_own(identifier: str) -> bool:
    issuer = settings.ISSUER.rstrip("/")
    return identifier == issuer or identifier.startswith((f"{issuer}/", f"{issuer}?"))


def scope_problem(name: str) -> str:
    """What is wrong with a scope's name, as a sentence, or "" if it is valid."""
    if len(name) > MAX_SCOPE_LENGTH:
        return f"A scope has at most {MAX_SCOPE_LENGTH} characters."
    if not SCOPE_TOKEN.fullmatch(name):
        return 'Use printable ASCII without spaces, " and \\ in a scope, for example files:read.'
    return ""


def scopes_problem(names: Sequence[str]) -> str:
    """What is wrong with a resource's scopes, as a sentence, or "" if they are valid."""
    for name in names:
        if problem := scope_problem(name):
            return problem
    if len(set(names)) < len(names):
        return "A scope is listed twice."
    if len(names) > MAX_SCOPES:
        return f"A resource has at most {MAX_SCOPES} scopes."
    if len(" ".join(names)) > MAX_SCOPES_LENGTH:
        return f"All scopes together have at most {MAX_SCOPES_LENGTH} characters."
    return ""


@transaction.atomic
def create_resource(*, actor: Actor, **fields: Any) -> Resource:
    """Register a resource. `fields` are validated by the serializer or the form."""
    # Counting and inserting must be atomic. NO KEY: tokens can be issued meanwhile.
    organization = Organization.objects.select_for_update(no_key=True).get(pk=actor.organization.pk)
    if Resource.objects.for_organization(organization).count() >= MAX_RESOURCES:
        raise TooManyResources
    resource = Resource(organization=organization)
    _set(resource, fields)
    taken = partial(ResourceAlreadyExists, identifier=["Already registered."])
    with refusing(tokens_resource_identifier_unique=taken):
        resource.save(force_insert=True)
    record_event(AuditAction.RESOURCE_CREATED, resource, actor=actor, scopes=resource.scopes)
    return resource


@transaction.atomic
def update_resource(resource: Resource, *, actor: Actor, **changes: Any) -> Resource:
    """Change the name, the scopes or the lifetime. A removed scope is taken from every agent."""
    resource = _locked(resource)
    old = _values(resource)
    _set(resource, changes)
    changed = {name: now for name, now in _values(resource).items() if old[name] != now}
    if not changed:
        return resource
    before = {name: old[name] for name in changed}
    resource.save(update_fields=[*changed, "updated_at"])
    for grant in ResourceGrant.objects.filter(resource=resource):
        kept = [name for name in grant.scopes if name in resource.scopes]
        if kept != grant.scopes:
            grant.scopes = kept
            grant.save(update_fields=["scopes", "updated_at"])
    record_event(AuditAction.RESOURCE_UPDATED, resource, actor=actor, before=before, after=changed)
    return resource


@transaction.atomic
def delete_resource(resource: Resource, *, actor: Actor) -> None:
    """Delete a resource and its permissions.

    Live tokens for it become inactive at introspection.
    """
    resource = _locked(resource)
    ResourceGrant.objects.filter(resource=resource).delete()
    before = copy(resource)  # deleting takes the key from the other one
    resource.delete()
    record_event(AuditAction.RESOURCE_DELETED, before, actor=actor)


@transaction.atomic
def allow_agent(
    resource: Resource, agent: Agent, *, actor: Actor, scopes: Sequence[str]
) -> ResourceGrant:
    """Allow the agent these scopes at the resource, replacing earlier ones."""
    _require_not_oneself(agent, actor=actor)
    resource = _locked(resource)
    agent = Agent.objects.select_for_update(no_key=True).get(pk=agent.pk)
    if agent.is_decommissioned:
        raise AgentAlreadyDecommissioned
    unknown = sorted(set(scopes) - set(resource.scopes))
    if unknown:
        problem = f"The resource has no scope {' '.join(unknown)}."
        raise InvalidValue(problem, scopes=[problem])
    wanted = [name for name in resource.scopes if name in set(scopes)]
    grant = ResourceGrant.objects.filter(resource=resource, agent=agent).first()
    if grant is not None and grant.scopes == wanted:
        return grant
    if grant is None:
        grant = ResourceGrant(
            organization=resource.organization,
            resource=resource,
            agent=agent,
            created_at=database_time(),  # compared with the times of tokens
        )
    grant.scopes = wanted
    grant.save()
    record_event(
        AuditAction.RESOURCE_AGENT_ALLOWED, resource, actor=actor, agent_id=agent.pk, scopes=wanted
    )
    return grant


@transaction.atomic
def remove_agent(grant: ResourceGrant, *, actor: Actor) -> None:
    """Remove the agent from the resource. Its live tokens become inactive at introspection."""
    _require_not_oneself(grant.agent, actor=actor)
    resource = _locked(grant.resource)
    if not ResourceGrant.objects.filter(pk=grant.pk).delete()[0]:
        return  # another request was faster
    record_event(AuditAction.RESOURCE_AGENT_REMOVED, resource, actor=actor, agent_id=grant.agent_id)


def _require_not_oneself(agent: Agent, *, actor: Actor) -> None:
    """Raise Forbidden if an agent changes its own permissions."""
    if actor.kind == "agent" and actor.id == agent.pk:
        raise Forbidden("An agent cannot change its own permissions.")


def _locked(resource: Resource) -> Resource:
    """Lock the resource. Raise ResourceNotFound if it has been deleted."""
    locked = (
        Resource.objects.select_for_update(of=("self",), no_key=True)
        .select_related("organization")
        .filter(pk=resource.pk)
        .first()
    )
    if locked is None:
        raise ResourceNotFound
    return locked


def _set(resource: Resource, fields: dict[str, Any]) -> None:
    """Set the fields; `described_scopes` is a list of `{"name", "description"}`."""
    described = fields.pop("described_scopes", None)
    if described is not None:
        resource.scopes = [each["name"] for each in described]
        resource.scope_descriptions = {
            each["name"]: each["description"] for each in described if each.get("description")
        }
    for name, value in fields.items():
        setattr(resource, name, value)


def _values(resource: Resource) -> dict[str, Any]:
    names = ("name", "scopes", "scope_descriptions", "token_lifetime")
    return {name: getattr(resource, name) for name in names}
