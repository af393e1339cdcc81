"""Staff with access to a model learn nothing about it beyond what its pages show."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client
from django.urls import NoReverseMatch, reverse

from agents.tests.factories import make_agent
from executions.models import Execution
from executions.tests.factories import make_execution
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from tokens.models import Credential
from tokens.tests.factories import make_credential

REGISTERED = sorted(admin.site._registry.items(), key=lambda item: item[0].__name__)
IDS = [model.__name__ for model, _ in REGISTERED]
LOOKUPS = ("", "__exact", "__regex")
OVER_RELATIONS = (
    "organization__name__startswith",
    "memberships__user__password__startswith",
    "user__password__startswith",
    "invited_by__password__gt",
    "agent__owner__contains",
    "agent__credentials__secret_mac__gt",
    "credential__secret_mac__gt",
    "executions__final__contains",
    "groups__name",
    "user_permissions__codename",
)


def staff_with(model: type[models.Model], organization: Organization) -> Client:
    """A staff user who may view only this model and has chosen the organization."""
    staff = make_user(is_staff=True)
    codename = f"view_{model._meta.model_name}"
    staff.user_permissions.add(Permission.objects.get(codename=codename))
    client = Client()
    client.force_login(staff)
    client.post("/admin/organization", {"organization": organization.pk})
    return client


def changelist(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def columns(model: type[models.Model]) -> list[str]:
    """The model's fields, and the fields of other models that refer to it."""
    return [field.name for field in model._meta.get_fields()]


def offered(model_admin: Any) -> set[str]:
    """The query parameters that the list's filters offer."""
    return {f"{name}__exact" for name in model_admin.list_filter}


@pytest.mark.parametrize(("model", "model_admin"), REGISTERED, ids=IDS)
def test_a_list_answers_the_questions_of_its_filters_only(
    organization: Organization, model: Any, model_admin: Any
) -> None:
    client = staff_with(model, organization)
    page = changelist(model)
    asked = {f"{name}{lookup}" for name in columns(model) for lookup in LOOKUPS}

    answered = {
        question
        for question in sorted(asked | set(OVER_RELATIONS))
        if client.get(page, {question: "a"}).status_code != 400
    }

    assert client.get(page).status_code == 200
    assert answered == offered(model_admin)


@pytest.mark.parametrize(("model", "model_admin"), REGISTERED, ids=IDS)
def test_a_list_filters_searches_and_sorts_by_its_columns(model: Any, model_admin: Any) -> None:
    shown = {*model_admin.list_display, *model_admin.fields}

    assert set(model_admin.list_filter) <= shown
    assert {name.partition("__")[0] for name in model_admin.search_fields} <= shown
    assert {name for name in model_admin.search_fields if "__" in name} <= {
        "agent__email",  # these stand in the columns of the relations
        "resource__identifier",
        "user__email",
    }
    assert model_admin.date_hierarchy is None
    assert not model_admin.autocomplete_fields
    for name in model_admin.list_display:
        column = getattr(model, name, None)
        assert getattr(column, "admin_order_field", None) is None


@pytest.mark.parametrize(("model", "model_admin"), REGISTERED, ids=IDS)
def test_no_other_parameter_names_a_field(
    organization: Organization, model: Any, model_admin: Any
) -> None:
    make_credential(make_agent(organization))
    make_membership(organization)
    client = staff_with(model, organization)
    hidden = [field.name for field in model._meta.concrete_fields if not field.primary_key]

    for name in hidden:
        if not model_admin.to_field_allowed(None, name):
            assert client.get(changelist(model), {"_to_field": name}).status_code == 400
    plain = keys(client.get(changelist(model)))
    for text in ("password", "-password", "99", "secret_mac"):
        assert keys(client.get(changelist(model), {"o": text})) == plain
    action = {"action": "delete_selected", "_selected_action": plain, "post": "yes"}
    assert keys(client.post(changelist(model), action)) == plain


def keys(answer: Any) -> list[str]:
    """The keys of the rows in a list, in order."""
    assert answer.status_code == 200
    body = answer.content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    return re.findall(r"/([^/]+)/change/", body)


def test_no_field_but_a_key_can_be_referenced() -> None:
    referable = {
        (model.__name__, field.name)
        for model, model_admin in REGISTERED
        for field in model._meta.concrete_fields
        if model_admin.to_field_allowed(None, field.name)
    }

    assert {name for _, name in referable} <= {"id", "organization", "kid"}


@pytest.mark.parametrize("name", ["autocomplete", "view_on_site"])
def test_views_that_look_up_beside_the_registered_classes_are_gone(name: str) -> None:
    with pytest.raises(NoReverseMatch):
        reverse(f"admin:{name}", args=[1, 1] if name == "view_on_site" else [])


CANARY = "canary-of-a-hidden-field"


def hidden_texts(model: type[models.Model], shown: set[str]) -> Iterator[Any]:
    for field in model._meta.concrete_fields:
        kinds = (models.CharField, models.TextField, models.JSONField)
        if field.name not in shown and isinstance(field, kinds) and not field.choices:
            yield field


@pytest.mark.parametrize("model", [Execution, Credential, Membership])
def test_what_is_not_named_stands_on_no_page(organization: Organization, model: Any) -> None:
    model_admin = admin.site._registry[model]
    agent = make_agent(organization)
    row = {
        Execution: lambda: make_execution(organization, agent=agent),
        Credential: lambda: make_credential(agent)[0],
        Membership: lambda: make_membership(organization, user=make_user(password=CANARY)),
    }[model]()
    shown = {*model_admin.list_display, *model_admin.fields}
    with organization_scope(organization):
        values: dict[str, Any] = {}
        for field in hidden_texts(model, shown):
            is_json = isinstance(field, models.JSONField)
            values[field.name] = {"dict": {"x": CANARY}} if is_json else CANARY[: field.max_length]
        if values:
            model.objects.filter(pk=row.pk).update(**values)
    client = staff_with(model, organization)
    change = changelist(model) + f"{row.pk}/change/"

    for page in (changelist(model), change, changelist(model) + f"{row.pk}/history/"):
        answer = client.get(page)

        assert answer.status_code == 200
        assert CANARY not in answer.content.decode()
