"""Who may enter the admin, and what staff with few permissions learn there."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from agents.tests.factories import make_agent
from organizations.models import Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from tests.admin_pages import MODELS, PLAN, actions_in, address, choose
from tokens.tests.factories import make_credential


@pytest.fixture
def staff(db: None) -> User:
    return make_user("staff@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def test_staff_without_any_permission_see_and_choose_no_organization(
    organization: Organization,
) -> None:
    newcomer = make_user("new@example.com", is_staff=True)
    client = Client()
    client.force_login(newcomer)

    before, refused = client.get("/admin/"), choose(client, organization)
    newcomer.user_permissions.add(Permission.objects.get(codename="view_agent"))
    shown, chosen = client.get("/admin/"), choose(client, organization)
    newcomer.user_permissions.clear()
    after = client.get("/admin/")

    assert (before.status_code, refused.status_code) == (200, 403)
    assert (shown.status_code, chosen.status_code) == (200, 302)
    assert organization.name in shown.content.decode()
    for page in (before, after):
        assert organization.name not in page.content.decode()
    assert len(actions_in(organization)) == 1


def test_staff_without_a_permission_get_403(organization: Organization) -> None:
    staff = make_user(is_staff=True)
    client = Client()
    client.force_login(staff)
    choose(client, organization)

    assert client.get("/admin/").status_code == 200
    for model, _ in MODELS:
        assert client.get(address(model, "changelist")).status_code == 403
        assert client.get(address(model, "change", organization.pk)).status_code == 403


def test_a_permission_opens_its_model_only(organization: Organization) -> None:
    staff = make_user(is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_credential"))
    client = Client()
    client.force_login(staff)
    choose(client, organization)

    assert client.get(reverse("admin:tokens_credential_changelist")).status_code == 200
    assert client.get(reverse("admin:agents_agent_changelist")).status_code == 403
    page = reverse("admin:organizations_organization_change", args=[organization.pk])
    assert client.post(page, PLAN).status_code == 403


def test_rights_to_one_model_tell_nothing_of_the_others(organization: Organization) -> None:
    """Whatever a page is asked, and whether the row exists or not."""
    credential, _ = make_credential(make_agent(organization))
    make_membership(organization)
    with organization_scope(organization):
        rows = {model: model.objects.first() for model, _ in MODELS}  # type: ignore[attr-defined]
    known = {model: row.pk if row else credential.pk for model, row in rows.items()}
    staff = make_user("partial@example.com", is_staff=True)
    client = Client()
    client.force_login(staff)
    told = {}

    for place, (model, _) in enumerate(MODELS):
        own = MODELS[place - 1][0]
        names = [f"{right}_{own._meta.model_name}" for right in ("view", "change", "add", "delete")]
        staff.user_permissions.set(Permission.objects.filter(codename__in=names))
        choose(client, organization)
        pages = [address(model, "changelist"), address(model, "add")]
        for pk in (known[model], "0a1b2c3d-e4f5-6789-abcd-ef0123456789"):
            pages += [address(model, page, pk) for page in ("change", "history", "delete")]
        for page in pages:
            for answer in (
                client.get(page, {"_popup": "1", "_to_field": model._meta.pk.name, "q": "a"}),
                client.post(page, {"_popup": "1", "action": "delete_selected", "post": "yes"}),
            ):
                if answer.status_code not in {403, 405}:
                    told[page] = answer.status_code

    assert told == {}


def test_staff_for_signing_keys_learn_no_organization(organization: Organization) -> None:
    """The keys are the deployment's own."""
    staff = make_user(is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_signingkey"))
    client = Client()
    client.force_login(staff)

    keys = client.get(reverse("admin:tokens_signingkey_changelist"))

    assert keys.status_code == 200
    assert organization.name not in keys.content.decode()
    assert choose(client, organization).status_code == 403


def test_people_who_are_not_staff_stay_outside(organization: Organization) -> None:
    client = Client()
    client.force_login(make_membership(organization, "owner").user)

    assert client.get("/admin/", follow=True).status_code == 403
    assert choose(client, organization)["Location"].startswith("/admin/login/")
    assert client.get("/admin/login/").status_code == 403
    assert actions_in(organization) == []


def test_strangers_sign_in_where_everybody_does(db: None) -> None:
    answer = Client().get("/admin/agents/agent/")

    assert answer["Location"] == "/login?next=/admin/agents/agent/"
    assert Client().get("/admin/login/?next=//evil.example")["Location"] == "/login?next=/admin/"


def test_staff_who_are_deactivated_are_outside_at_once(browser: Client, staff: User) -> None:
    assert browser.get("/admin/").status_code == 200

    User.objects.filter(pk=staff.pk).update(is_active=False)

    assert browser.get("/admin/").status_code == 302


def test_the_choice_needs_a_form_of_our_own(staff: User, organization: Organization) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)

    assert choose(client, organization).status_code == 403
    assert client.get("/admin/organization").status_code == 405
