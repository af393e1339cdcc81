"""Whether a token that verifies is still good: asked of the database at every use.

One statement each, written down once. The ORM would build the same text anew for every request, and
building it took twice as long as PostgreSQL takes to answer.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.db import connection, models
from django.http import HttpRequest
from rest_framework_simplejwt.exceptions import InvalidToken

from core.addresses import client_address
from organizations.actors import Actor, Scope
from organizations.models import Membership, Organization, Principal, User

ModelType = TypeVar("ModelType", bound=models.Model)
SPARE = timedelta(seconds=30)
"""How much later than a token its grant or its membership may seem: `iat` is a whole second, and
these have the time of whichever machine made them."""
ENDED = "The token has expired or was revoked."


class Claims(Protocol):
    """What a verified token says (tokens/access_tokens.py)."""

    payload: dict[str, Any]

    @property
    def token_id(self) -> UUID: ...

    @property
    def subject_id(self) -> UUID: ...

    @property
    def organization_id(self) -> UUID: ...


class AgentClaims(Claims, Protocol):
    @property
    def credential_id(self) -> UUID: ...

    @property
    def resource(self) -> str: ...


class PersonClaims(Claims, Protocol):
    @property
    def session_id(self) -> UUID: ...


def columns(row: str, model: type[models.Model]) -> str:
    return ", ".join(f'({row})."{field.column}"' for field in model._meta.concrete_fields)


AGENT = f"""
SELECT email, scopes, is_administrator, {columns("within", Organization)}
FROM tokens_live_agent(
    %(organization)s, %(credential)s, %(agent)s, %(token)s, to_timestamp(%(issued)s)
)
"""  # noqa: S608 - names of our own columns
RESOURCE = """
SELECT g.scopes, r.scopes
FROM tokens_live_agent(
    %(organization)s, %(credential)s, %(agent)s, %(token)s, to_timestamp(%(issued)s)
)
JOIN tokens_resource r
    ON r.organization_id = %(organization)s AND r.identifier = %(resource)s
JOIN tokens_resourcegrant g
    ON g.organization_id = r.organization_id AND g.resource_id = r.id AND g.agent_id = %(agent)s
    AND g.created_at < to_timestamp(%(issued)s) + %(spare)s
"""
PERSON = f"""
SELECT {columns("membership", Membership)}, {columns("account", User)},
    {columns("within", Organization)}
FROM tokens_live_person(
    %(organization)s, %(person)s, %(session)s, %(token)s, to_timestamp(%(issued)s), %(spare)s
)
"""  # noqa: S608 - names of our own columns


def live_agent(token: AgentClaims, request: HttpRequest) -> Actor:
    """The agent of a live token: agent, credential and organization active, token not revoked.

    Runs inside the organization's scope, in one query.
    """
    row = ask(AGENT, **facts_of(token))
    email, allowed, is_administrator = row[:3]
    # A scope taken from the agent ends for its live tokens as well.
    scopes = frozenset(str(token.payload.get("scope", "")).split()) & frozenset(allowed)
    if not is_administrator:
        scopes -= {Scope.ADMIN_ORGS}
    return Actor(
        kind="agent",
        id=token.subject_id,
        label=email,
        organization=instance(Organization, row[3:]),
        scopes=scopes,
        # Only a token that was asked for it administers: one with less does not see more either.
        role=Principal.Role.ADMIN if Scope.ADMIN_ORGS in scopes else "",
        credential_id=token.credential_id,
        token_id=token.token_id,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )


def live_resource_scopes(token: AgentClaims) -> frozenset[str]:
    """What a live token for a resource still allows: what the agent is allowed there today.

    A token that has lost all of its scopes has ended, and so has one from before the agent was
    removed from the resource, or the resource deleted, and allowed anew.
    """
    allowed, known = ask(
        RESOURCE,
        resource=token.resource,
        spare=SPARE,
        **facts_of(token),
    )
    issued = frozenset(str(token.payload.get("scope", "")).split())
    left = issued & frozenset(allowed) & frozenset(known)
    if issued and not left:
        raise InvalidToken(ENDED)
    return left


def facts_of(token: AgentClaims) -> dict[str, Any]:
    """What tokens_live_agent asks about."""
    return {
        "organization": token.organization_id,
        "credential": token.credential_id,
        "agent": token.subject_id,
        "token": token.token_id,
        "issued": token.payload["iat"],
    }


def live_person(token: PersonClaims, request: HttpRequest) -> Actor:
    """The person of a live token: account, membership, organization and login session good.

    One query, inside the scope.
    """
    row = ask(
        PERSON,
        organization=token.organization_id,
        person=token.subject_id,
        session=token.session_id,
        token=token.token_id,
        issued=token.payload["iat"],
        spare=SPARE,
    )
    of_user = len(Membership._meta.concrete_fields)
    of_organization = of_user + len(User._meta.concrete_fields)
    membership = instance(Membership, row[:of_user])
    membership.user = instance(User, row[of_user:of_organization])
    membership.organization = instance(Organization, row[of_organization:])
    return Actor.for_person(
        membership,
        session_id=token.session_id,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )


def ask(statement: str, **values: Any) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row: tuple[Any, ...] | None = cursor.fetchone()
    if row is None:
        raise InvalidToken(ENDED)
    return row


def instance(model: type[ModelType], row: Sequence[Any]) -> ModelType:
    """The object of a row that holds all columns of the model, in their order."""
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(connection.alias, names, row)
