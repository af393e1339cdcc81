"""The admin shows one organization at a time and no secrets, and records its use."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from agents.tests.factories import make_agent
from core.throttling import ADMIN_CHOICES
from organizations.admin_base import OrganizationModelAdmin, ReadOnlyAdmin
from organizations.models import Attempt, AuditEvent, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from tests.admin_pages import MODELS, PLAN, actions_in, address, choose
from tokens.models import Credential
from tokens.tests.factories import make_credential

TENANTS = [pair for pair in MODELS if isinstance(pair[1], OrganizationModelAdmin)]
IDS = [model.__name__ for model, _ in MODELS]
TENANT_IDS = [model.__name__ for model, _ in TENANTS]


@pytest.fixture
def staff(db: None) -> User:
    return make_user("staff@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def test_only_our_own_classes_are_registered() -> None:
    assert [model.__name__ for model, _ in MODELS] == [
        "Agent",
        "AuditEvent",
        "Credential",
        "Execution",
        "Invitation",
        "Membership",
        "Organization",
        "Resource",
        "ResourceGrant",
        "SigningKey",
        "TokenEvent",
        "User",
    ]
    assert all(isinstance(model_admin, ReadOnlyAdmin) for _, model_admin in MODELS)


@pytest.mark.parametrize(("model", "model_admin"), MODELS, ids=IDS)
def test_no_secret_is_shown_searched_or_edited_in_a_list(model: type, model_admin: Any) -> None:
    named = {
        *model_admin.list_display,
        *model_admin.fields,
        *model_admin.search_fields,
        *model_admin.readonly_fields,
    }

    hidden = {
        "secret_mac",
        "previous_secret_mac",
        "earlier_secret_macs",
        "private_key",
        "password",
        "hash",
    }
    assert not named & hidden
    assert model_admin.list_editable == ()


@pytest.mark.parametrize(("model", "model_admin"), TENANTS, ids=TENANT_IDS)
def test_without_a_choice_it_asks_for_one(
    browser: Client, organization: Organization, model: type, model_admin: Any
) -> None:
    make_agent(organization)

    for page in (address(model, "changelist"), address(model, "change", organization.pk)):
        content = browser.get(page).content.decode()

        assert "Choose an organization" in content
        assert "agents.example.com" not in content


@pytest.mark.parametrize(("model", "model_admin"), TENANTS, ids=TENANT_IDS)
def test_it_shows_the_chosen_organizations_rows_only(
    browser: Client,
    organization: Organization,
    other_organization: Organization,
    model: type,
    model_admin: Any,
) -> None:
    for place in (organization, other_organization):
        make_membership(place, user=make_user(f"person@{place.slug}.example"))
        make_credential(make_agent(place, email=f"agent@{place.slug}.example"))
    choose(browser, organization)
    choose(browser, other_organization)  # so that both have an event
    choose(browser, organization)

    content = browser.get(address(model, "changelist")).content.decode()

    assert f"@{other_organization.slug}.example" not in content
    assert "Choose an organization" not in content
    lines = content.partition('<div id="main"')[2].partition("</header>")[2]
    assert other_organization.name not in lines


def test_the_choice_is_audited_and_shown(
    browser: Client, organization: Organization, other_organization: Organization
) -> None:
    answer = choose(browser, organization, next="/admin/agents/agent/")

    assert answer["Location"] == "/admin/agents/agent/"
    assert actions_in(organization) == [("admin.organization_chosen", "staff", "staff@example.com")]
    assert actions_in(other_organization) == []
    assert f'value="{organization.pk}" selected' in browser.get("/admin/").content.decode()


def test_the_same_choice_within_an_hour_is_recorded_once(
    browser: Client, staff: User, organization: Organization, other_organization: Organization
) -> None:
    for _ in range(3):
        choose(browser, organization)
        choose(browser, other_organization)
    once = [len(actions_in(each)) for each in (organization, other_organization)]
    colleague = make_user("other@example.com", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(colleague)
    choose(client, organization)
    Attempt.objects.update(started_at=F("started_at") - ADMIN_CHOICES.window - timedelta(seconds=1))
    choose(browser, organization)

    assert once == [1, 1]
    assert [label for _, _, label in actions_in(organization)] == [
        "staff@example.com",
        "other@example.com",
        "staff@example.com",
    ]


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/x"]
)
def test_the_choice_leads_nowhere_else(
    browser: Client, organization: Organization, target: str
) -> None:
    assert choose(browser, organization, next=target)["Location"] == "/admin/"


@pytest.mark.parametrize("wanted", ["", "x", "0a1b2c3d-e4f5-6789-abcd-ef0123456789"])
def test_an_unknown_choice_changes_nothing(browser: Client, wanted: str) -> None:
    answer = browser.post("/admin/organization", {"organization": wanted})

    assert answer.status_code == 302
    assert "admin_organization_id" not in browser.session


def test_another_organizations_row_is_unknown(
    browser: Client, organization: Organization, other_organization: Organization
) -> None:
    foreign = make_agent(other_organization)
    choose(browser, organization)

    answer = browser.get(reverse("admin:agents_agent_change", args=[foreign.pk]), follow=True)

    assert "exist. Perhaps it was deleted?" in answer.content.decode()
    assert foreign.email not in answer.content.decode()


def test_pages_of_rows_show_no_secret(browser: Client, organization: Organization) -> None:
    credential, secret = make_credential(make_agent(organization))
    choose(browser, organization)

    page = browser.get(reverse("admin:tokens_credential_change", args=[credential.pk]))

    content = page.content.decode()
    assert page.status_code == 200
    assert secret not in content
    assert bytes(credential.secret_mac).hex() not in content
    assert secret not in repr(credential)


@pytest.mark.parametrize(("model", "model_admin"), MODELS, ids=IDS)
def test_nothing_is_added_or_deleted(
    browser: Client, organization: Organization, model: type, model_admin: Any
) -> None:
    choose(browser, organization)

    assert browser.get(address(model, "add")).status_code == 403
    assert browser.post(address(model, "add"), {}).status_code == 403
    with organization_scope(organization):
        row = model.objects.first()  # type: ignore[attr-defined]
    if row is not None:
        assert browser.post(address(model, "delete", row.pk), {"post": "yes"}).status_code in {
            302,  # a row outside of the chosen organization
            403,
        }
        with organization_scope(organization):
            assert model.objects.filter(pk=row.pk).exists()  # type: ignore[attr-defined]


def test_audit_events_are_read_and_no_more(browser: Client, organization: Organization) -> None:
    choose(browser, organization)
    with organization_scope(organization):
        event = AuditEvent.objects.get()
    page = reverse("admin:organizations_auditevent_change", args=[event.pk])

    assert "admin.organization_chosen" in browser.get(page).content.decode()
    assert bytes(event.hash).hex() in browser.get(page).content.decode()
    assert browser.post(page, {"action": "x"}).status_code == 403


def test_staff_set_the_plan_and_the_organization_sees_it_in_its_log(
    browser: Client, organization: Organization
) -> None:
    choose(browser, organization)
    page = reverse("admin:organizations_organization_change", args=[organization.pk])

    answer = browser.post(page, PLAN | {"name": "Mallory"})

    assert answer.status_code == 302
    organization.refresh_from_db()
    assert (organization.plan_tier, organization.max_agents) == ("pro", 7)
    assert (organization.max_tokens_per_month, organization.name) == (None, "Northwind Labs")
    assert actions_in(organization)[1:] == [("org.updated", "staff", "staff@example.com")]


@pytest.mark.parametrize("status", ["deleted", "system", "x"])
def test_staff_cannot_set_other_statuses(
    browser: Client, organization: Organization, status: str
) -> None:
    choose(browser, organization)
    page = reverse("admin:organizations_organization_change", args=[organization.pk])

    answer = browser.post(page, PLAN | {"status": status})

    assert answer.status_code == 200
    organization.refresh_from_db()
    assert (organization.status, organization.plan_tier) == ("active", "enterprise")


def test_a_suspended_organization_stops_at_once_and_comes_back_for_new_tokens(
    browser: Client, organization: Organization, client_for: Any
) -> None:
    client = client_for(organization)
    choose(browser, organization)
    page = reverse("admin:organizations_organization_change", args=[organization.pk])
    before = client.get("/api/v1/auth/session").status_code

    browser.post(page, PLAN | {"status": "suspended"})
    during = client.get("/api/v1/auth/session").status_code
    browser.post(page, PLAN)
    after = client.get("/api/v1/auth/session").status_code

    assert (before, during, after) == (200, 401, 401)
    assert [action for action, _, _ in actions_in(organization)][1:] == [
        "org.updated",
        "org.suspended",
        "org.reactivated",
    ]


def test_staff_end_an_accounts_access(browser: Client, organization: Organization) -> None:
    user = make_membership(organization).user
    choose(browser, organization)
    page = reverse("admin:organizations_user_change", args=[user.pk])

    browser.post(page, {"email": "mallory@example.com", "is_staff": "on"})

    user.refresh_from_db()
    assert (user.is_active, user.is_staff) == (False, False)
    assert user.email != "mallory@example.com"
    assert actions_in(organization)[-1] == ("person.deactivated", "staff", "staff@example.com")


def test_staff_accounts_are_not_changed_here(browser: Client, organization: Organization) -> None:
    user = make_membership(organization, user=make_user(is_staff=True)).user
    choose(browser, organization)
    page = reverse("admin:organizations_user_change", args=[user.pk])

    assert browser.post(page, {}).status_code == 403


def test_two_organizations_admin_lists_take_a_fixed_number_of_queries(
    browser: Client, organization: Organization, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        make_credential(make_agent(organization))
    choose(browser, organization)

    with django_assert_max_num_queries(14):
        browser.get(reverse("admin:tokens_credential_changelist"))
    with organization_scope(organization):
        assert Credential.objects.count() == 5
