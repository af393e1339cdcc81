"""Login sessions of people: a short-lived access token and a rotating refresh token."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from rest_framework_simplejwt.exceptions import TokenError

from core.addresses import client_address
from core.database_clock import database_time
from core.errors import DomainError
from core.throttling import ENTRIES, REFRESHES, count_attempt, throttle_key
from organizations.actions import SignInRefused, verify_password
from organizations.actions.signing_in import lock_proven, refuse_sign_in
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import AuditEvent, Membership, Organization, User
from organizations.tenancy.scope import organization_scope
from tokens.access_tokens import PersonAccess, PersonRefresh
from tokens.liveness import SPARE
from tokens.models import LoginSession, LoginSessionQuerySet

REFRESH_GRACE = timedelta(seconds=30)
"""How long a refresh token can be used again after its first use, because its response was lost or
a client refreshed twice at once. Longer than clients wait for a response."""


KEY_LIFETIME = settings.REFRESH_TOKEN_LIFETIME
"""Of the keys of kodosumi's clients, which cannot refresh them: as long as a client that does
nothing may stay signed in. They end with their session, as every access token does."""

LOGIN_SESSION = "login_session_id"
"""The key, in a browser's session, of the login session that ends with it."""


class RefreshRefused(DomainError):
    """Raised alike for every refresh token that does not work."""

    code = "UNAUTHORIZED"
    status = 401
    message = "The refresh token is not valid. Sign in again."


@dataclass(frozen=True)
class SessionTokens:
    """The tokens of a person's client, for one organization."""

    refresh: PersonRefresh
    membership: Membership

    @property
    def key(self) -> PersonAccess:
        """An access token that lives for KEY_LIFETIME."""
        access = self.refresh.access_token
        access.set_exp(from_time=self.refresh.current_time, lifetime=KEY_LIFETIME)
        return access

    def as_body(self) -> dict[str, Any]:
        return {
            "accessToken": str(self.refresh.access_token),
            "refreshToken": str(self.refresh),
            "tokenType": "Bearer",
            "expiresIn": int(PersonAccess.lifetime.total_seconds()),
            "organizationId": self.membership.organization.public_id,
            "role": self.membership.role,
        }


def log_in(
    request: HttpRequest, *, email: str, password: str, organization_id: UUID | None = None
) -> SessionTokens:
    """Start a login session in the given organization, or in the one the person joined first.

    Raise SignInRefused or TooManyRequests, which are recorded: see verify_password() for how to
    call this.
    """
    user = verify_password(request, name=email, password=password, organization_id=organization_id)
    memberships = user.memberships.usable()
    if organization_id is not None:
        memberships = memberships.filter(organization_id=organization_id)
    membership = memberships.first()
    if membership is None:
        refuse_sign_in(request, email, user, reason="no_active_organization")
        raise SignInRefused
    with transaction.atomic():
        session = _start(request, lock_proven(user), membership)
    return SessionTokens(PersonRefresh.for_session(membership, session.pk), membership)


def _start(request: HttpRequest, user: User, membership: Membership) -> LoginSession:
    session = LoginSession.objects.create(
        user=user,
        created_at=database_time(),
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", "")[:255],
    )
    _record(AuditAction.SESSION_STARTED, membership, session.pk, request)
    return session


@transaction.atomic
def access_in_browser(request: HttpRequest, membership: Membership) -> PersonAccess | None:
    """An access token for a person who is signed in to the pages, in a login session that ends when
    they sign out there. Returns None if they did so meanwhile, or changed their password.

    Raise TooManyRequests after many tokens.
    """
    proven = cast(User, request.user)
    user = User.objects.select_for_update(no_key=True).get(pk=proven.pk)
    own = _locked_login_session(request)
    marks = [(each.password, each.sessions_valid_from) for each in (proven, user)]
    if own is None or marks[0] != marks[1]:
        return None
    session = own.live().filter(user=user).first() or _start(request, user, membership)
    count_attempt(throttle_key("refresh", session.pk), REFRESHES)
    request.session[LOGIN_SESSION] = str(session.pk)
    request.session.save()  # while it is locked
    return PersonRefresh.for_session(membership, session.pk).access_token


@transaction.atomic
def end_with_browser_session(*, request: HttpRequest, **_: Any) -> None:
    """End the login session of access_in_browser(). For the signal `user_logged_out`."""
    own = _locked_login_session(request)
    if own is not None:
        own.filter(ended_at=None).update(ended_at=Now())


def _locked_login_session(request: HttpRequest) -> LoginSessionQuerySet | None:
    """The login session, if there is one, of the browser's session, which nobody else ends or
    changes until the transaction is over. None if the browser's session has ended.
    """
    key = request.session.session_key
    found = Session.objects.select_for_update().filter(session_key=key).first()
    if found is None:
        return None
    return LoginSession.objects.filter(pk=found.get_decoded().get(LOGIN_SESSION, UUID(int=0)))


@transaction.atomic
def refresh_session(request: HttpRequest, text: str) -> SessionTokens | None:
    """Exchange a refresh token for new tokens. Returns None if it does not work.

    Within the grace period it can be used again. Later use means that it was copied, so the session
    ends with all its tokens (RFC 9700 section 4.14.2). Raise TooManyRequests after many exchanges
    in one session; the token remains unused.
    """
    try:
        refresh = PersonRefresh.read(text)
    except TokenError:
        return None
    # The lock serializes concurrent uses of the token.
    session = (
        LoginSession.objects.live()
        .select_for_update(of=("self",))
        .filter(pk=refresh.session_id, user_id=refresh.subject_id)
        .first()
    )
    membership = (
        Membership.objects.usable()
        .taking_tokens_of(refresh.issued_at, refresh.generation)
        .filter(user_id=refresh.subject_id, organization_id=refresh.organization_id)
        .first()
    )
    if session is None or membership is None or not _belongs_to(refresh, membership):
        return None
    if not refresh.use(REFRESH_GRACE):
        end_session(session)
        _record(
            AuditAction.SESSION_ENDED,
            membership,
            session.pk,
            request,
            outcome=AuditEvent.Outcome.FAILURE,
            reason="refresh_token_used_twice",
        )
        return None
    # Each use leaves rows until the token expires. The error takes this one back, so that the token
    # still works later.
    count_attempt(throttle_key("refresh", session.pk), REFRESHES)
    return SessionTokens(PersonRefresh.for_session(membership, session.pk), membership)


def _belongs_to(refresh: PersonRefresh, membership: Membership) -> bool:
    """Whether the token is for this membership, as tokens/liveness.py checks access tokens."""
    return membership.created_at < refresh.issued_at + SPARE


@transaction.atomic
def switch_organization(
    request: HttpRequest, session_id: UUID, organization_id: UUID, *, actor: Actor
) -> SessionTokens | None:
    """Tokens for another of the person's organizations, or None if they are no member there.

    Raise TooManyRequests after many switches, because each is recorded in an audit log.
    """
    membership = (
        Membership.objects.usable().filter(user=actor.user, organization=organization_id).first()
    )
    if membership is None:
        return None
    count_attempt(throttle_key("enter", membership.user_id), ENTRIES)
    _record(AuditAction.SESSION_STARTED, membership, session_id, request)
    return SessionTokens(PersonRefresh.for_session(membership, session_id), membership)


@transaction.atomic
def log_out(session_id: UUID, *, actor: Actor) -> None:
    """End the login session. Its access tokens stop working at once, in every organization."""
    session = LoginSession.objects.select_for_update().get(pk=session_id)
    end_session(session)
    record_event(AuditAction.SESSION_ENDED, actor=actor, sessionId=session.pk)


def end_session(session: LoginSession) -> None:
    session.ended_at = database_time()
    session.save(update_fields=["ended_at"])


def organizations_of(user: User) -> list[Organization]:
    return list(Organization.objects.of_person(user))


def _record(
    action: AuditAction,
    membership: Membership,
    session_id: UUID,
    request: HttpRequest,
    **metadata: Any,
) -> None:
    actor = Actor.for_person(
        membership,
        session_id=session_id,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )
    with organization_scope(membership.organization):
        record_event(action, actor=actor, sessionId=session_id, **metadata)
