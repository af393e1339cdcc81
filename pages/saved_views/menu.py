"""The menu of saved views above a list, and the view with which the list opens."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from organizations.actions.saved_views import may_change, may_share
from organizations.models import SavedView
from pages.decorators import OrganizationRequest
from pages.lists import VIEW
from pages.saved_views.forms import NewViewForm
from pages.saved_views.lists import LISTS, ListOfViews, pairs_of, query_of, url_of

P = ParamSpec("P")
Page = Callable[Concatenate[OrganizationRequest, P], HttpResponse]


@dataclass
class ViewMenu:
    """The views of a list that a person sees, and how the shown state differs from the current one.

    The list says what it understood of its URL with showing().
    """

    request: OrganizationRequest
    of: ListOfViews
    state: list[tuple[str, str]] = field(default_factory=list)

    def showing(self, state: Iterable[tuple[str, str]]) -> "ViewMenu":
        self.state = list(state)
        return self

    @cached_property
    def views(self) -> list[SavedView]:
        found = SavedView.objects.for_organization(self.request.organization)
        found = found.filter(list=self.of.key).visible_to(self.request.actor.id)
        return list(found.with_starts_of(self.request.actor.id).by_name())

    @property
    def start(self) -> SavedView | None:
        return next((each for each in self.views if each.is_start), None)

    @cached_property
    def current(self) -> SavedView | None:
        wanted = self.request.GET.get(VIEW, "")
        return next((each for each in self.views if str(each.pk) == wanted), None)

    @property
    def density(self) -> str:
        return self.current.density if self.current else ""

    # What differs

    @cached_property
    def forgotten(self) -> list[tuple[str, str]]:
        """What the current view asks for and the list does not know, or no longer."""
        if self.current is None:
            return []
        asked = {(name, text) for name, texts in self.request.GET.lists() for text in texts}
        stored = pairs_of(self.current.query)
        return [pair for pair in stored if pair in asked and pair not in self.state]

    @property
    def forgotten_words(self) -> list[str]:
        return [
            f"{name.removeprefix('not_').replace('_', ' ')} "
            f"{'is not' if name.startswith('not_') else 'is'} {text}"
            for name, text in self.forgotten
        ]

    @property
    def is_changed(self) -> bool:
        """Whether the list shows something else than the current view."""
        if self.current is None:
            return False
        stored = [pair for pair in pairs_of(self.current.query) if pair not in self.forgotten]
        return query_of(stored) != self.query

    @property
    def query(self) -> str:
        return query_of(self.state)

    @property
    def new_query(self) -> str:
        """The query of the page that saves what the list shows, for browsers without JavaScript."""
        query = {"list": self.of.key, "query": self.query}
        if self.current and self.is_replaceable:
            query["replaces"] = str(self.current.pk)
        return urlencode(query)

    @property
    def is_replaceable(self) -> bool:
        """Whether saving may replace the current view."""
        return bool(self.edit_url) and (self.is_changed or bool(self.forgotten))

    # What the menu shows

    @property
    def label(self) -> str:
        if self.current is None:
            return "Views"
        return f"{self.current.name} (changed)" if self.is_changed else self.current.name

    @property
    def groups(self) -> list[dict[str, Any]]:
        kinds = (("Yours", False), ("Shared", True))
        groups = [
            {
                "label": label,
                "rows": [
                    {"view": each, "url": url_of(each), "is_current": each == self.current}
                    for each in self.views
                    if each.is_shared is is_shared
                ],
            }
            for label, is_shared in kinds
        ]
        return [group for group in groups if group["rows"]]

    @property
    def everything(self) -> dict[str, Any]:
        """The list without a view."""
        url = self.of.everything_url if self.start else reverse(self.of.page)
        return {
            "label": self.of.everything,
            "url": url,
            "is_current": self.current is None and not self.state,
        }

    @property
    def link(self) -> str:
        """The URL of the current view for colleagues; empty if only this person sees it."""
        if self.current is None or not self.current.is_shared:
            return ""
        return self.request.build_absolute_uri(reverse("views:open", args=[self.current.pk]))

    @property
    def edit_url(self) -> str:
        if self.current is None or not may_change(self.current, self.request.actor):
            return ""
        return reverse("views:edit", args=[self.current.pk])

    @property
    def form(self) -> NewViewForm:
        """The form that saves what the list shows."""
        return NewViewForm(
            None,
            of=self.of,
            may_share=may_share(self.request.actor),
            replaceable=self.current if self.is_replaceable else None,
            query=self.query,
        )


def with_views(key: str) -> Callable[[Page[P]], Page[P]]:
    """Give the request of a list its `views`, and open the list with the person's own one where
    the URL asks for nothing.
    """

    def decorate(page: Page[P]) -> Page[P]:
        @wraps(page)
        def inside(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            menu = ViewMenu(request, LISTS[key])
            request.views = menu
            request.opens_with_view = menu.start is not None
            if menu.start is not None and not request.GET:
                return redirect(url_of(menu.start))
            return page(request, *args, **kwargs)

        return inside

    return decorate
