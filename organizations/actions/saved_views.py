"""Saving, changing and removing views of lists.

Everybody has views of their own. Those who may control what the agents do may also share views with
the organization and change shared ones, which the audit log records.
"""

from copy import copy
from typing import Any
from uuid import UUID

from django.db import transaction

from core.constraints import refusing
from core.errors import DomainError, Forbidden, NotFound
from organizations.actors import Actor, Scope
from organizations.audit.actions import AuditAction
from organizations.audit.log import record_event
from organizations.models import Organization, SavedView, StartView
from organizations.rights import require_rights, rights_last

MAX_OWN = 50
"""Views of a person in an organization."""
MAX_SHARED = 50
"""Shared views of an organization."""
VALUES = ("name", "query", "density")


class ViewNotFound(NotFound):
    message = "The view has been removed meanwhile."


class ViewNameTaken(DomainError):
    message = (
        "The list already has a view with this name. Choose another one, or replace that view."
    )


class TooManyViews(DomainError):
    message = "There are too many views. Remove one first."


def may_share(actor: Actor) -> bool:
    return actor.may(Scope.EXECUTIONS_WRITE)


def may_change(view: SavedView, actor: Actor) -> bool:
    return may_share(actor) if view.is_shared else view.owner_id == actor.id


@transaction.atomic
def save_view(
    *, actor: Actor, list: str, name: str, query: str, density: str = "", is_shared: bool = False
) -> SavedView:
    """Save a view. The same view under the same name again is that view."""
    organization = _locked_organization(actor)
    owner = None if is_shared else actor.id
    views = SavedView.objects.for_organization(organization)
    known = views.filter(owner=owner, list=list, name__iexact=name).first()
    if known and (known.name, known.query, known.density) == (name, query, density):
        return known
    view = SavedView(
        organization=organization,
        owner_id=owner,
        list=list,
        name=name,
        query=query,
        density=density,
    )
    _require_may_change(view, actor)
    _require_room(organization, owner)
    with _refusing_names():
        view.save(force_insert=True)
    if is_shared:
        record_event(AuditAction.VIEW_SHARED, view, actor=actor, **_facts(view))
    else:
        require_rights(actor)
    return view


@transaction.atomic
def change_view(view: SavedView, *, actor: Actor, is_shared: bool, **changes: Any) -> SavedView:
    """Change the name, the query, the density, or who sees the view.

    A view that is no longer shared is the actor's own, and other people's lists no longer open with
    it.
    """
    organization = _locked_organization(actor)
    view = _locked(view)
    _require_may_change(view, actor)
    before = {name: getattr(view, name) for name in VALUES}
    changed = {name: value for name, value in changes.items() if before[name] != value}
    was_shared = view.is_shared
    if not changed and was_shared == is_shared:
        return view
    for name, value in changed.items():
        setattr(view, name, value)
    if was_shared != is_shared:
        view.owner_id = None if is_shared else actor.id
        _require_may_change(view, actor)
        _require_room(organization, view.owner_id)
    with _refusing_names():
        view.save(update_fields=[*changed, "owner"])
    if was_shared and not is_shared:
        StartView.objects.filter(view=view).exclude(user=actor.id).delete()
    if was_shared and is_shared:
        old = {name: before[name] for name in changed}
        record_event(
            AuditAction.VIEW_UPDATED, view, actor=actor, list=view.list, before=old, after=changed
        )
    elif is_shared:
        record_event(AuditAction.VIEW_SHARED, view, actor=actor, **_facts(view))
    elif was_shared:
        record_event(AuditAction.VIEW_UNSHARED, view, actor=actor, **_facts(view))
    else:
        require_rights(actor)
    return view


@transaction.atomic
def remove_view(view: SavedView, *, actor: Actor) -> None:
    """Remove the view. Lists that opened with it open without a view."""
    view = _locked(view)
    _require_may_change(view, actor)
    before = copy(view)  # deleting takes the key from the other one
    view.delete()
    if before.is_shared:
        record_event(AuditAction.VIEW_DELETED, before, actor=actor, **_facts(before))
    else:
        require_rights(actor)


@rights_last
def open_with(view: SavedView, *, actor: Actor, is_wanted: bool) -> None:
    """Open the actor's list with the view, or no longer."""
    starts = StartView.objects.for_organization(view.organization).filter(user=actor.id)
    if not is_wanted:
        starts.filter(view=view).delete()
        return
    view = _locked(view)
    StartView.objects.update_or_create(
        organization=view.organization, user=actor.user, list=view.list, defaults={"view": view}
    )


def remove_views_of(organization: Organization, user_id: UUID) -> None:
    """Remove the views of a person who leaves. What they shared stays."""
    StartView.objects.for_organization(organization).filter(user=user_id).delete()
    SavedView.objects.for_organization(organization).filter(owner=user_id).delete()


def _locked_organization(actor: Actor) -> Organization:
    # Counting and inserting must be atomic. NO KEY: tokens can be issued meanwhile.
    return Organization.objects.select_for_update(no_key=True).get(pk=actor.organization.pk)


def _locked(view: SavedView) -> SavedView:
    found = SavedView.objects.select_for_update(of=("self",)).filter(pk=view.pk).first()
    if found is None:
        raise ViewNotFound
    return found


def _require_may_change(view: SavedView, actor: Actor) -> None:
    if not may_change(view, actor):
        raise Forbidden("Shared views are for operators and administrators to change.")


def _require_room(organization: Organization, owner: UUID | None) -> None:
    most = MAX_SHARED if owner is None else MAX_OWN
    if SavedView.objects.for_organization(organization).filter(owner=owner).count() >= most:
        whose = "The organization shares" if owner is None else "You have"
        raise TooManyViews(f"{whose} {most} views, which is the most. Remove one first.")


def _refusing_names() -> Any:
    def taken() -> ViewNameTaken:
        return ViewNameTaken(name=["Already taken."])

    return refusing(
        organizations_savedview_own_name=taken, organizations_savedview_shared_name=taken
    )


def _facts(view: SavedView) -> dict[str, str]:
    return {"list": view.list, "query": view.query, "density": view.density}
