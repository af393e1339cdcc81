"""The members of an organization, in the browser."""

import re
from typing import Any

import pytest
from django.test import Client

from organizations.models import Invitation, Membership, Organization
from organizations.rights import RANK
from organizations.tenancy.scope import organization_scope
from organizations.tests.factories import make_membership, make_user
from pages.members.roles import SENTENCES

Role = Membership.Role
LINK = re.compile(r"/invitations/[\w.-]+")
TOKEN = r'name="csrfmiddlewaretoken" value="\w+"'


def invite(browser: Any, email: str = "new@example.com", role: str = "viewer") -> Any:
    return browser.post("/members/invitations", {"email": email, "role": role})


def test_an_invitations_link_is_shown_once(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization))

    response = invite(browser)

    link = LINK.findall(response.content.decode())[0]
    assert "no-store" in response["Cache-Control"]
    page = browser.get("/members").content.decode()
    assert "new@example.com" in page
    assert link not in page


def test_a_newcomer_joins_with_a_password_of_their_own(
    organization: Organization, signed_in: Any
) -> None:
    link = LINK.findall(
        invite(signed_in(make_membership(organization)), role="operator").content.decode()
    )[0]
    guest = Client()

    response = guest.post(link, {"name": "New Comer", "password": "a quiet lake at dawn"})

    assert response["Location"] == "/"
    member = Membership.objects.get(user__email="new@example.com")
    assert (member.organization, member.role) == (organization, "operator")
    assert guest.get("/agents").status_code == 200
    assert Client().get(link).status_code == 404


def test_a_weak_password_is_named_and_the_invitation_stays(
    organization: Organization, signed_in: Any
) -> None:
    link = LINK.findall(invite(signed_in(make_membership(organization))).content.decode())[0]

    response = Client().post(link, {"name": "New Comer", "password": "short"})

    assert response.status_code == 400
    assert "too short" in response.content.decode()
    assert Client().get(link).status_code == 200


def test_an_invitation_is_for_the_invited_address_only(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    link = LINK.findall(invite(signed_in(make_membership(organization))).content.decode())[0]
    somebody = signed_in(make_membership(other_organization))

    response = somebody.post(link)

    assert "another email address" in response.content.decode()
    assert Membership.objects.filter(organization=organization).count() == 1


def test_the_page_is_the_same_whether_or_not_the_address_has_an_account(
    organization: Organization, signed_in: Any
) -> None:
    make_user("known@example.com", name="Grace Hopper")
    browser = signed_in(make_membership(organization))
    pages = []

    for email in ("known@example.com", "fresh@example.com"):
        link = LINK.findall(invite(browser, email).content.decode())[0]
        page = Client().get(link).content.decode()
        assert f"/login?next={link}" in page
        assert "Create an account" in page
        pages.append(re.sub(f"{re.escape(link)}|{email}|{TOKEN}", "", page))

    assert pages[0] == pages[1]


def test_a_signed_in_person_accepts_with_their_own_account(
    organization: Organization, signed_in: Any
) -> None:
    link = LINK.findall(invite(signed_in(make_membership(organization))).content.decode())[0]
    user = make_user("new@example.com")
    browser = Client()
    browser.force_login(user)

    browser.post(link)

    assert user.memberships.get().organization == organization


def test_an_invitation_whose_inviter_lost_the_right_is_shown_as_void(
    organization: Organization, signed_in: Any
) -> None:
    admin = make_membership(organization, Role.ADMIN)
    invite(signed_in(admin))
    browser = signed_in(make_membership(organization))
    before = browser.get("/members").content.decode()
    Membership.objects.filter(pk=admin.pk).update(role="viewer")

    after = browser.get("/members").content.decode()

    assert "void" not in before
    assert "void" in after


def test_administrators_see_whose_address_is_not_proven(
    organization: Organization, signed_in: Any
) -> None:
    make_membership(organization, user=make_user("grace@example.com", email_verified_at=None))
    administrator = signed_in(make_membership(organization))
    viewer = signed_in(make_membership(organization, Role.VIEWER))

    assert administrator.get("/members").content.decode().count("unverified") == 1
    assert "unverified" not in viewer.get("/members").content.decode()


def test_a_withdrawn_link_opens_nothing(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization))
    link = LINK.findall(invite(browser).content.decode())[0]
    with organization_scope(organization):
        invitation = Invitation.objects.get()

    browser.post(f"/members/invitations/{invitation.pk}/withdraw")

    assert Client().get(link).status_code == 404


@pytest.mark.parametrize("token", ["x", "é", "a.b", "x" * 500, "org-1.secret"])
def test_a_strange_link_is_gone(db: None, token: str) -> None:
    assert Client().get(f"/invitations/{token}").status_code == 404


def test_a_role_is_changed_and_a_member_removed(organization: Organization, signed_in: Any) -> None:
    browser = signed_in(make_membership(organization))
    member = make_membership(organization, Role.VIEWER)

    browser.post(f"/members/{member.pk}/role", {"role": "admin"})
    member.refresh_from_db()
    assert member.role == Role.ADMIN
    browser.post(f"/members/{member.pk}/remove")

    assert not Membership.objects.filter(pk=member.pk).exists()


def test_the_last_owner_stays(organization: Organization, signed_in: Any) -> None:
    owner = make_membership(organization)
    browser = signed_in(owner)

    page = browser.post(f"/members/{owner.pk}/remove", follow=True).content.decode()

    assert "needs an owner" in page
    assert Membership.objects.filter(pk=owner.pk).exists()


def test_an_admin_neither_makes_nor_unmakes_owners(
    organization: Organization, signed_in: Any
) -> None:
    owner = make_membership(organization)
    admin = make_membership(organization, Role.ADMIN)
    browser = signed_in(admin)

    browser.post(f"/members/{owner.pk}/role", {"role": "viewer"})
    browser.post(f"/members/{admin.pk}/role", {"role": "owner"})
    response = invite(browser, role="owner")

    owner.refresh_from_db()
    admin.refresh_from_db()
    assert (owner.role, admin.role) == (Role.OWNER, Role.ADMIN)
    assert response.status_code == 400


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_does_not_administer_sees_people_but_changes_nothing(
    organization: Organization, signed_in: Any, role: str
) -> None:
    owner = make_membership(organization)
    member = make_membership(organization, role)
    browser = signed_in(member)

    page = browser.get("/members").content.decode()

    assert owner.user.email in page
    assert "Invite a member" not in page
    assert browser.post(f"/members/{member.pk}/role", {"role": "owner"}).status_code == 403
    assert browser.post(f"/members/{owner.pk}/remove").status_code == 403
    assert invite(browser).status_code == 403


def test_another_organizations_member_does_not_exist(
    organization: Organization, other_organization: Organization, signed_in: Any
) -> None:
    stranger = make_membership(other_organization)
    browser = signed_in(make_membership(organization))

    assert browser.post(f"/members/{stranger.pk}/role", {"role": "viewer"}).status_code == 404
    assert browser.post(f"/members/{stranger.pk}/remove").status_code == 404


def test_both_sides_of_an_invitation_read_what_the_role_may_do(
    organization: Organization, signed_in: Any
) -> None:
    browser = signed_in(make_membership(organization))
    link = LINK.findall(invite(browser, role="operator").content.decode())[0]

    page, guest = browser.get("/members").content.decode(), Client().get(link).content.decode()

    assert list(SENTENCES) == sorted(Role, key=lambda role: RANK[role])
    for role, sentence in SENTENCES.items():
        text = sentence[0].upper() + sentence[1:]
        assert text in page
        assert (text in guest) == (role in {Role.VIEWER, Role.OPERATOR})
