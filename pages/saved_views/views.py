"""Saving a view of a list, opening, changing and removing it."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from organizations.actions import saved_views as actions
from organizations.models import SavedView
from pages.confirmation import ASKING_METHODS, Confirmation, ask_first, is_done
from pages.decorators import OrganizationRequest, within_organization
from pages.form_pages import form_page, run_change, submitted_data
from pages.saved_views.forms import NEW, NewViewForm, ViewForm
from pages.saved_views.lists import LISTS, ListOfViews, lists_of, url_of


def seen_view(request: OrganizationRequest, view_id: UUID) -> SavedView:
    """A view that the person sees, of a list that they may read."""
    views = SavedView.objects.for_organization(request.organization).visible_to(request.actor.id)
    return get_object_or_404(views.filter(list__in=lists_of(request.actor)), pk=view_id)


def own_view(request: OrganizationRequest, view_id: UUID) -> SavedView:
    """A view that the person may change."""
    view = seen_view(request, view_id)
    if not actions.may_change(view, request.actor):
        raise PermissionDenied
    return view


def chosen_list(request: OrganizationRequest) -> ListOfViews:
    key = request.POST.get("list") or request.GET.get("list") or ""
    if key not in LISTS:
        raise Http404
    if key not in lists_of(request.actor):
        raise PermissionDenied
    return LISTS[key]


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization()
def new_view(request: OrganizationRequest) -> HttpResponse:
    """Save what a list shows, as a new view or in place of one."""
    of = chosen_list(request)
    replaceable = None
    if replaced := request.POST.get("replaces") or request.GET.get("replaces"):
        with suppress(ValueError):
            replaceable = own_view(request, UUID(replaced))
    form = NewViewForm(
        submitted_data(request),
        of=of,
        may_share=actions.may_share(request.actor),
        replaceable=replaceable if replaceable and replaceable.list == of.key else None,
        query=request.GET.get("query", ""),
    )
    if request.method == "POST" and form.is_valid():
        saved = run_change(form, lambda: save(request, form, of, replaceable))
        if saved:
            messages.success(request, f"{saved.name} is saved.{seen_by(saved)}")
            return redirect(url_of(saved))
    return form_page(request, "saved_views/new.html", form, back=reverse(of.page), of=of)


def save(
    request: OrganizationRequest, form: NewViewForm, of: ListOfViews, replaceable: SavedView | None
) -> SavedView:
    values: dict[str, Any] = form.values | {"query": form.cleaned_data["query"]}
    if replaceable and form.cleaned_data.get("replaces", NEW) != NEW:
        return actions.change_view(replaceable, actor=request.actor, **values)
    return actions.save_view(actor=request.actor, list=of.key, **values)


def seen_by(view: SavedView) -> str:
    return " Everybody in the organization sees it." if view.is_shared else ""


@require_safe
@within_organization()
def open_view(request: OrganizationRequest, view_id: UUID) -> HttpResponse:
    """Redirect to the list as the view shows it. This URL stays the same when the view changes."""
    return redirect(url_of(seen_view(request, view_id)))


@require_http_methods(["GET", "HEAD", "POST"])
@within_organization()
def edit_view(request: OrganizationRequest, view_id: UUID) -> HttpResponse:
    """Change the name of a view, who sees it and the height of its rows; or remove it."""
    view = own_view(request, view_id)
    form = ViewForm(
        submitted_data(request),
        of=LISTS[view.list],
        may_share=actions.may_share(request.actor),
        view=view,
    )
    if request.method == "POST" and form.is_valid():
        changed = run_change(
            form, lambda: actions.change_view(view, actor=request.actor, **form.values)
        )
        if changed:
            messages.success(request, f"{changed.name} is saved.{seen_by(changed)}")
            return redirect(url_of(changed))
    context = {"view": view, "back": url_of(view), "removal": removal_of(view)}
    return form_page(request, "saved_views/edit.html", form, **context)


def removal_of(view: SavedView) -> Confirmation:
    loses = "disappears for everybody in the organization" if view.is_shared else "disappears"
    return Confirmation(
        address=reverse("views:remove", args=[view.pk]),
        key=f"remove-{view.pk}",
        button="Remove view",
        title="Remove this view?",
        subject=view.name,
        text=f"{loses}. What it lists stays. This cannot be undone.",
    )


@require_http_methods(ASKING_METHODS)
@within_organization()
def remove_view(request: OrganizationRequest, view_id: UUID) -> HttpResponse:
    """Remove a view."""
    view = own_view(request, view_id)
    back = reverse("views:edit", args=[view.pk])
    if question := ask_first(request, removal_of(view), back=back, back_label=view.name):
        return question
    is_done(
        request,
        lambda: actions.remove_view(view, actor=request.actor),
        f"{view.name} is removed.",
    )
    return redirect(LISTS[view.list].everything_url)


@require_POST
@within_organization()
def start_with(request: OrganizationRequest, view_id: UUID) -> HttpResponse:
    """Open the person's list with the view, or no longer."""
    view = seen_view(request, view_id)
    is_wanted = request.POST.get("wanted") == "yes"
    said = f"The list opens with {view.name} from now on."
    if not is_wanted:
        said = f"The list no longer opens with {view.name}."
    change = lambda: actions.open_with(view, actor=request.actor, is_wanted=is_wanted)  # noqa: E731
    is_done(request, change, said)
    return redirect(url_of(view))
