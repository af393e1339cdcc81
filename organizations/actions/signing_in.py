"""Signing in and out: password checks with throttling, and browser sessions."""

from dataclasses import replace
from uuid import UUID

from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest

from core import password_hashers as hashers
from core.addresses import caller_network, client_address
from core.database_clock import database_time
from core.errors import DomainError, InvalidValue
from core.throttling import (
    ENTRIES,
    SIGN_INS_FROM,
    SIGN_INS_OF,
    Guesses,
    count_attempt,
    counted_as_failure,
    folded,
    give_back,
    note_failure,
    refuse_when_full,
    throttle_key,
)
from organizations.actions.invitations import check_new_password
from organizations.actors import Actor
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event, record_failed_proof
from organizations.models import (
    UNIDENTIFIED_ORGANIZATION_ID,
    AccountLink,
    Membership,
    Organization,
    User,
)
from organizations.page_sessions import CHOSEN_ORGANIZATION, chosen_membership
from organizations.people import known_browsers
from organizations.people.authentication import find_user
from organizations.people.passwords import spellings_of
from organizations.tenancy.scope import organization_scope


class SignInRefused(DomainError):
    """Raised alike for an unknown name, a wrong password and an account that may not sign in."""

    code = "UNAUTHORIZED"
    status = 401
    message = "Wrong email or password."


def verify_password(
    request: HttpRequest,
    *,
    name: str,
    password: str,
    account: User | None = None,
    organization_id: UUID | None = None,
) -> User:
    """The account with this name and password. Raise SignInRefused or TooManyRequests otherwise.

    PasswordsBusy is a TooManyRequests; the password was not checked then. Right passwords are
    limited too, generously: each costs a hash, a session and audit events. Several accounts can
    share an unverified address: `account` accepts only that one, `organization_id` prefers a member
    of that organization. A password with a second spelling is a second attempt, with a count and a
    place of its own.

    A refused attempt is counted and audited too, so catch the error inside the view and return its
    response: an error that leaves the view rolls the request back. Call this outside of a
    transaction (`transaction.non_atomic_requests`), so that no lock is held during hashing.
    """
    line = _line_of(request, name)
    from_here = throttle_key("signed in from", *line)
    refuse_when_full(from_here, SIGN_INS_FROM)  # before hashing, which is what costs
    guesses = Guesses.at("login", folded(name), None, line=line)
    for tries, spelling in enumerate(spellings_of(password), start=1):
        with hashers.hashing_for(lambda: line), counted_as_failure(guesses):
            user = authenticate(
                request,
                username=name,
                password=spelling,
                account=account,
                organization_id=organization_id,
            )
        if isinstance(user, User):
            for _ in range(tries):
                give_back(guesses)
            count_attempt(from_here, SIGN_INS_FROM)
            count_attempt(throttle_key("signed in", user.pk), SIGN_INS_OF)
            return user
    refuse_sign_in(request, name, account or find_user(name), reason="wrong_name_or_password")
    raise SignInRefused


def _line_of(request: HttpRequest, name: str) -> hashers.Line:
    """Whose attempts are counted, and whose hashes wait, together with this one: those from the
    same network, except that a browser which signed in with this name before has a line with the
    others of that name. All lines of a network have one share of the places together."""
    network = caller_network(client_address(request))
    return hashers.Line(network, known_browsers.line_of(request, name))


def lock_proven(user: User) -> User:
    """Lock the account that verify_password() returned.

    Raise SignInRefused if it has changed since. Hashing takes time and holds no lock, so the
    password may have been changed or the account closed.
    """
    locked = User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
    if locked is None or locked.password != user.password or not locked.is_active:
        raise SignInRefused
    return locked


def refuse_sign_in(request: HttpRequest, name: str, user: User | None, *, reason: str) -> None:
    """Record a refused sign-in in the person's organization. An unknown name costs the same work.

    `user` has verified the address or is signed in. A name that only unverified accounts have
    counts as unknown: otherwise the organization that created one would learn from its log that
    others exist.
    """
    guesses = Guesses.at("login", folded(name), client_address(request))
    left_out = note_failure(guesses, user.pk if user else UNIDENTIFIED_ORGANIZATION_ID)
    if left_out is not None:
        _record_refused_sign_in(request, user, reason, left_out)


@transaction.atomic
def _record_refused_sign_in(
    request: HttpRequest, user: User | None, reason: str, left_out: int
) -> None:
    membership = (
        Membership.objects.filter(
            user_id=user.pk if user else UNIDENTIFIED_ORGANIZATION_ID,
            organization__status=Organization.Status.ACTIVE,
        )
        .order_by("created_at", "id")
        .first()
    )
    organization = Organization.objects.get(
        pk=membership.organization_id if membership else UNIDENTIFIED_ORGANIZATION_ID
    )
    actor = Actor(
        kind="person",
        id=user.pk if user else None,
        label=user.email if user else "unknown",  # a mistyped name may be a password
        organization=organization,
        user=user,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )
    with organization_scope(organization):
        record_failed_proof(actor, reason=reason, left_out=left_out)


def sign_in(request: HttpRequest, *, name: str, password: str) -> User:
    """Start a browser session. See verify_password() for its errors and how to call it.

    A person without any organization can sign in as well, to accept an invitation or create one.
    """
    user = verify_password(request, name=name, password=password)
    membership = user.memberships.usable().first()
    if membership is None and user.memberships.exists() and not user.is_staff:
        refuse_sign_in(request, name, user, reason="organization_not_active")
        raise SignInRefused
    with transaction.atomic():
        login(request, user)  # starts a new session with a new id and no old content
        if membership is not None:
            enter(request, membership)
    return user


@transaction.atomic
def choose_organization(request: HttpRequest, organization_id: UUID | str) -> Membership | None:
    """Switch to another of the person's organizations, or return None if they may not act in it.

    Raise TooManyRequests after many switches, because each is recorded in an audit log.
    """
    wanted = Organization.parse_public_id(f"org-{str(organization_id).removeprefix('org-')}")
    if wanted is None or not isinstance(request.user, User):
        return None
    membership = request.user.memberships.usable().filter(organization_id=wanted).first()
    is_current = str(wanted) == request.session.get(CHOSEN_ORGANIZATION)
    if membership is not None and not is_current:
        count_attempt(throttle_key("enter", membership.user_id), ENTRIES)
        request.session.cycle_key()
        enter(request, membership)
    return membership


def enter(request: HttpRequest, membership: Membership) -> None:
    """Remember the organization in the session and record that the session started."""
    request.session[CHOSEN_ORGANIZATION] = str(membership.organization_id)
    record_session(AuditAction.SESSION_STARTED, membership, request)


def sign_out(request: HttpRequest) -> None:
    """End the session on the server, so that its cookie no longer works."""
    if request.user.is_authenticated:
        membership = chosen_membership(request)
        if membership is not None:
            record_session(AuditAction.SESSION_ENDED, membership, request)
    logout(request)


def change_password(request: HttpRequest, *, current: str, new: str) -> User:
    """Set the signed-in person's password and end all their other sessions.

    Raise InvalidValue for the faulty field. See verify_password() for how to call it.
    """
    user = prove_password(request, current)
    check_new_password(new, user, field="new")
    hashed = User.objects.hash_password(user.email, new)  # before any lock, because hashing is slow
    with transaction.atomic():
        user = still_proven(user)
        user.use_hash(hashed)
        user.save(update_fields=["password", "sessions_valid_from"])
        AccountLink.objects.filter(user=user).delete()
        update_session_auth_hash(request, user)
        membership = chosen_membership(request)
        if membership is not None:
            record_session(AuditAction.SESSION_PASSWORD_CHANGED, membership, request)
    return user


def prove_password(request: HttpRequest, password: str) -> User:
    """The signed-in person. Raise InvalidValue for `current` if this is not their password."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - pages are for people who signed in
    try:
        return verify_password(request, name=user.email, password=password, account=user)
    except SignInRefused as error:
        raise _not_your_password() from error


def still_proven(user: User) -> User:
    """Lock the person.

    Raise InvalidValue if the password has changed since prove_password().
    """
    try:
        return lock_proven(user)
    except SignInRefused as error:
        raise InvalidValue.of("current", "Your password was changed a moment ago.") from error


def _not_your_password() -> InvalidValue:
    return InvalidValue.of("current", "This is not your password.")


@transaction.atomic
def set_person_active(user: User, is_active: bool, *, actor: Actor) -> User:
    """Deactivate or reactivate an account. Its sessions and tokens end at once and permanently."""
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    user.is_active = is_active
    user.sessions_valid_from = database_time()
    user.save(update_fields=["is_active", "sessions_valid_from"])
    action = AuditAction.PERSON_REACTIVATED if is_active else AuditAction.PERSON_DEACTIVATED
    for membership in user.memberships.select_related("organization").order_by("organization_id"):
        there = replace(actor, organization=membership.organization)
        with organization_scope(there.organization):
            record_event(action, user, actor=there)
    return user


def record_session(action: AuditAction, membership: Membership, request: HttpRequest) -> None:
    actor = Actor.for_person(
        membership,
        ip_address=client_address(request),
        user_agent=request.headers.get("User-Agent", ""),
    )
    with organization_scope(membership.organization):
        record_event(action, actor=actor)
