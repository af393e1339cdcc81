"""Checks that a verified token is still valid, in the database and at every use.

Each check is one constant statement. The ORM would build it again for every request, which took
twice as long as PostgreSQL's answer.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
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
"""How much later than a token its grant or membership may seem to be created: `iat` is a whole
second, and the clocks of two machines differ."""
ENDED = "The token has expired or was revoked."


class Claims(Protocol):
    """The claims of a verified token (tokens/access_tokens.py)."""

    payload: dict[str, Any]

    @property
    def token_id(self) -> UUID: ...

    @property
    def subject_id(self) -> UUID: ...

    @property
    def organization_id(self) -> UUID: ...

    @property
    def issued_at(self) -> datetime: ...

    @property
    def generation(self) -> int | None: ...


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
    %(organization)s, %(credential)s, %(agent)s, %(token)s, to_timestamp(%(issued)s),
    %(generation)s
)
"""  # noqa: S608 - no user input
RESOURCE = """
SELECT g.scopes, r.scopes
FROM tokens_live_agent(
    %(organization)s, %(credential)s, %(agent)s, %(token)s, to_timestamp(%(issued)s),
    %(generation)s
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
    %(organization)s, %(person)s, %(session)s, %(token)s, to_timestamp(%(issued)s), %(spare)s,
    %(generation)s
)
"""  # noqa: S608 - no user input


def live_agent(token: AgentClaims, request: HttpRequest) -> Actor:
    """The agent of a live token.

    Raise InvalidToken if agent, credential or organization is inactive or the token is revoked.
    Runs inside the organization's scope, in one query.
    """
    row = ask(AGENT, **facts_of(token))
    email, allowed, is_administrator = row[:3]
    # A scope that the agent has lost is removed from its live tokens, too.
    scopes = frozenset(str(token.payload.get("scope", "")).split()) & frozenset(allowed)
    if not is_administrator:
        scopes -= {Scope.ADMIN_ORGS}
    return Actor(
        kind="agent",
        id=token.subject_id,
        label=email,
        organization=instance(Organization, row[3:]),
        scopes=scopes,
        # A token without the scope must not see more because its agent is an administrator.
        role=Principal.Role.ADMIN if Scope.ADMIN_ORGS in scopes else "",
        credential_id=token.credential_id,
        token_id=token.token_id,
        issued_at=token.issued_at,
        generation=token.generation,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )


def live_resource_scopes(token: AgentClaims) -> frozenset[str]:
    """The scopes that a live token for a resource still grants. Raise InvalidToken if it has ended.

    It has ended if all its scopes are gone, or if it is older than the agent's present permission
    at the resource.
    """
    granted, defined = ask(
        RESOURCE,
        resource=token.resource,
        spare=SPARE,
        **facts_of(token),
    )
    issued = frozenset(str(token.payload.get("scope", "")).split())
    left = issued & frozenset(granted) & frozenset(defined)
    if issued and not left:
        raise InvalidToken(ENDED)
    return left


def facts_of(token: AgentClaims) -> dict[str, Any]:
    """The parameters of tokens_live_agent()."""
    return {
        "organization": token.organization_id,
        "credential": token.credential_id,
        "agent": token.subject_id,
        "token": token.token_id,
        "issued": token.payload["iat"],
        "generation": token.generation,
    }


def live_person(token: PersonClaims, request: HttpRequest) -> Actor:
    """The person of a live token.

    Raise InvalidToken if account, membership, organization or login session has ended. Runs inside
    the organization's scope, in one query.
    """
    row = ask(
        PERSON,
        organization=token.organization_id,
        person=token.subject_id,
        session=token.session_id,
        token=token.token_id,
        issued=token.payload["iat"],
        spare=SPARE,
        generation=token.generation,
    )
    of_user = len(Membership._meta.concrete_fields)
    of_organization = of_user + len(User._meta.concrete_fields)
    membership = instance(Membership, row[:of_user])
    membership.user = instance(User, row[of_user:of_organization])
    membership.organization = instance(Organization, row[of_organization:])
    return Actor.for_person(
        membership,
        session_id=token.session_id,
        token_id=token.token_id,
        issued_at=token.issued_at,
        generation=token.generation,
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
    """A model instance from a row of all the model's columns, in their order."""
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db(connection.alias, names, row)
