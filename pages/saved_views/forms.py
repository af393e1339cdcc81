"""Forms that save a view of a list and change it."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from core.text import NameInput
from organizations.models import SavedView
from organizations.models.saved_view import MAX_NAME, MAX_QUERY
from pages.saved_views.lists import ListOfViews, pairs_of, query_of

ONLY_ME, EVERYBODY = "me", "everybody"
NEW = "new"
MAX_WRITTEN = 4 * MAX_QUERY
"""Of a query before it is brought into the form that a view keeps."""
TOO_MUCH = f"The filters are longer than the {MAX_QUERY:,} characters that a view can keep."


class ViewForm(forms.Form):
    """The name of a view, who sees it, and the height of rows where the list has two."""

    name = NameInput(max_length=MAX_NAME, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    who = forms.ChoiceField(
        label="Who sees it",
        choices=[(ONLY_ME, "Only you"), (EVERYBODY, "Everybody in the organization")],
        initial=ONLY_ME,
        widget=forms.RadioSelect,
    )
    density = forms.ChoiceField(
        label="Row height",
        required=False,
        choices=[
            ("", "As each person has chosen"),
            *((value, str(label).capitalize()) for value, label in SavedView.Density.choices),
        ],
    )

    def __init__(
        self,
        data: QueryDict | None,
        *,
        of: ListOfViews,
        may_share: bool,
        view: SavedView | None = None,
        **more: Any,
    ) -> None:
        initial = more.pop("initial", {}) | (initial_of(view) if view else {})
        super().__init__(data, initial=initial, auto_id="view-%s", **more)
        if not may_share:
            del self.fields["who"]
        if not of.has_density:
            del self.fields["density"]
        elif not self.initial.get("density"):
            # js/theme.js selects the current one.
            self.fields["density"].widget.attrs["data-density-choice"] = ""

    @property
    def values(self) -> dict[str, Any]:
        """The arguments of the actions."""
        found = {
            name: self.cleaned_data[name] for name in ("name", "density") if name in self.fields
        }
        return found | {"is_shared": self.cleaned_data.get("who") == EVERYBODY}


class NewViewForm(ViewForm):
    """Saves what a list shows, as a new view or in place of the current one."""

    replaces = forms.ChoiceField(label="Save as", widget=forms.RadioSelect)
    list = forms.CharField(max_length=16, widget=forms.HiddenInput)
    query = forms.CharField(
        required=False,
        max_length=MAX_WRITTEN,
        widget=forms.HiddenInput,
        error_messages={"max_length": TOO_MUCH},
    )
    field_order = ["replaces", "name", "who", "density", "list", "query"]

    def __init__(
        self,
        data: QueryDict | None,
        *,
        of: ListOfViews,
        may_share: bool,
        replaceable: SavedView | None = None,
        query: str = "",
    ) -> None:
        super().__init__(
            data,
            of=of,
            may_share=may_share,
            view=replaceable,
            initial={"list": of.key, "query": query},
        )
        if replaceable is None:
            del self.fields["replaces"]
            self.fields["name"].widget.attrs["autofocus"] = True
            return
        self.fields["replaces"].choices = [  # type: ignore[attr-defined]
            (str(replaceable.pk), f"{replaceable.name}, replacing what it shows"),
            (NEW, "A new view"),
        ]
        self.initial["replaces"] = str(replaceable.pk)

    def clean_query(self) -> str:
        try:
            query = query_of(pairs_of(self.cleaned_data["query"]))
        except ValueError as error:
            raise ValidationError(TOO_MUCH) from error
        if len(query) > MAX_QUERY:
            raise ValidationError(TOO_MUCH)
        return query


def initial_of(view: SavedView) -> dict[str, Any]:
    who = EVERYBODY if view.is_shared else ONLY_ME
    return {"name": view.name, "who": who, "density": view.density}
