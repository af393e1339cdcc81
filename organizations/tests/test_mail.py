"""Invitations that travel by mail, through a real mail server."""

import smtplib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from conftest import ClientFor
from organizations.models import Invitation, Organization, User
from organizations.tenancy.scope import organization_scope
from organizations.tests.accounts import ADDRESS, NEW, OLD, accept, invite
from organizations.tests.factories import make_membership, make_organization, make_user
from organizations.tests.smtp import Mailbox

# Invitations


def test_an_invitation_is_mailed_and_proves_the_address(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    owner = make_membership(organization)

    answer = invite(client_for(owner), organization)
    mailbox.deliver()
    joined = accept(mailbox.link())

    assert (answer.status_code, answer.json()["acceptUrl"]) == (201, None)
    mail = mailbox.mails[0]
    assert (mail["To"], mail["From"]) == (ADDRESS, "AgentIdP <agentidp@example.com>")
    assert mail["Subject"] == "Invitation to Northwind Labs"
    assert owner.user.email in mailbox.text()
    assert joined.status_code == 201
    assert User.objects.get(email=ADDRESS).is_verified


def test_the_queue_holds_ids_only_and_the_request_waits_for_no_mail_server(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    mailbox.refusal = "451 not now"

    invite(client_for(make_membership(organization)), organization)

    with organization_scope(organization):
        invitation = Invitation.objects.get()
    assert mailbox.queued() == [
        {"organization_id": str(organization.pk), "invitation_id": str(invitation.pk)}
    ]
    with pytest.raises(smtplib.SMTPException):  # the worker tries again
        mailbox.deliver()


def test_an_invitation_that_was_refused_is_not_mailed(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    owner = make_membership(organization)

    assert invite(client_for(owner), organization, owner.user.email).status_code == 409

    assert mailbox.queued() == []


def test_an_invitation_that_ended_meanwhile_is_not_mailed(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    admin = make_membership(organization, "admin")
    invite(client_for(admin), organization)
    admin.delete()

    mailbox.deliver()

    assert mailbox.mails == []


def test_a_job_that_runs_twice_leaves_one_link(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    invite(client_for(make_membership(organization)), organization)
    mailbox.deliver()
    mailbox._done.clear()
    mailbox.deliver()

    assert accept(mailbox.link(0)).status_code == 404
    assert accept(mailbox.link(1)).status_code == 201


def test_a_proven_account_is_asked_to_sign_in_and_guesses_are_counted(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    user = make_user(ADDRESS, OLD)
    invite(client_for(make_membership(organization)), organization)
    mailbox.deliver()

    answers = [accept(mailbox.link(), "not the right password").status_code for _ in range(11)]

    assert answers == [409] * 10 + [429]
    browser = Client()
    browser.force_login(user)
    browser.post(mailbox.link())
    assert user.memberships.get().organization == organization


def test_a_mailed_link_proves_the_account_with_which_it_is_accepted(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    user = make_user(ADDRESS, OLD, email_verified_at=None)
    invite(client_for(make_membership(organization)), organization)
    mailbox.deliver()

    accept(mailbox.link(), OLD)

    user.refresh_from_db()
    assert user.is_verified
    assert user.memberships.get().organization == organization


def test_one_of_two_unproven_accounts_proves_the_address(
    client_for: ClientFor, db: None, mailbox: Mailbox
) -> None:
    places = [make_organization(), make_organization()]
    for place in places:
        invite(client_for(make_membership(place)), place)
    mailbox.deliver()

    answers = [accept(mailbox.link(0), OLD), accept(mailbox.link(1), NEW)]

    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "SIGN_IN_NEEDED"
    assert User.objects.filter(email=ADDRESS).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_mailed_links_of_one_address_are_opened_at_once(
    mailbox: Mailbox, client_for: ClientFor
) -> None:
    for place in [make_organization() for _ in range(4)]:
        owner = make_membership(place)
        invite(client_for(owner), place)
    mailbox.deliver()

    def join(number: int) -> tuple[int, str]:
        try:
            answer = accept(mailbox.link(number), f"{NEW} {number}")
            return answer.status_code, answer.json().get("code", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(join, range(4)))

    assert answers == [(201, ""), *[(409, "SIGN_IN_NEEDED")] * 3]


def test_an_unproven_account_does_not_take_an_address_that_another_proved(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    make_user(ADDRESS, OLD)
    unproven = make_user(ADDRESS, NEW, email_verified_at=None)
    invite(client_for(make_membership(organization)), organization)
    mailbox.deliver()
    browser = Client()
    browser.force_login(unproven)

    page = browser.post(mailbox.link()).content.decode()

    assert "An account has already verified this address" in page
    assert not unproven.memberships.exists()


@pytest.mark.parametrize(
    "name",
    ["Evil\r\nBcc: victim@example.com", "<b>Evil</b> & Söhne", "Evil\n\nhttps://evil.example/x"],
)
def test_names_stay_on_their_line_and_are_no_header(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox, name: str
) -> None:
    Organization.objects.filter(pk=organization.pk).update(name=name)
    invite(client_for(make_membership(organization)), organization)

    mailbox.deliver()

    shown = " ".join(name.split())
    mail = mailbox.mails[0]
    assert mail["Subject"] == f"Invitation to {shown}"
    assert mail["Bcc"] is None
    assert mail.get_content_type() == "text/plain"
    assert f"“{shown}”" in mailbox.text()
    assert [line for line in mailbox.text().splitlines() if line.startswith("https://")] == []


def test_the_members_page_says_that_it_was_mailed_and_shows_no_link(
    organization: Organization, signed_in: Any, mailbox: Mailbox
) -> None:
    browser = signed_in(make_membership(organization))

    page = browser.post("/members/invitations", {"email": ADDRESS, "role": "viewer"})

    assert f"An invitation is on its way to {ADDRESS}" in page.content.decode()
    assert "/invitations/" not in page.content.decode().replace("/members/invitations", "")
