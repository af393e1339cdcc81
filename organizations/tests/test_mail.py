"""Invitations by mail, with a real mail server."""

import re
import smtplib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import Invitation, Organization, Principal, User
from organizations.people.mailing import PASSWORD, QUEUE
from organizations.tenancy.scope import organization_scope
from organizations.tests.accounts import ADDRESS, JSON, NEW, OLD, accept, ask, invite
from organizations.tests.factories import make_membership, make_organization, make_user
from organizations.tests.smtp import Mailbox

LINKABLE = re.compile(r"\w+://\S+|(?<![\w@.-])[\w.-]+\.[a-z]{2,}(?!@)\b\S*")
"""Text that mail programs turn into a link to a page."""


def leads_only_to_us(text: str) -> bool:
    found = LINKABLE.findall(text)
    return bool(found) and all(each.startswith(settings.ISSUER) for each in found)


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
    with pytest.raises(smtplib.SMTPException):  # the worker will retry
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
    [
        "Evil\r\nBcc: victim@example.com",
        "<b>Evil</b> & Söhne",
        "Evil\n\nhttps://evil.example/x",
        "Your account is locked: evil.example/unlock",
        "www.evil.example",
        "=?utf-8?q?Your=20account=20is=20locked?=",
        "=?utf-8?b?RXZpbA==?=",
    ],
)
def test_names_stay_on_their_line_and_are_no_header(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox, name: str
) -> None:
    Organization.objects.filter(pk=organization.pk).update(name=name)
    invite(client_for(make_membership(organization)), organization)

    mailbox.deliver()

    shown = " ".join(name.split())
    mail = mailbox.mails[0]
    subject = mail["Subject"].replace("\u2060", "").strip()  # a long one begins on the next line
    assert subject == f"Invitation to {shown}"
    assert mail["Bcc"] is None
    assert mail.get_content_type() == "text/plain"
    assert f"“{shown}”" in mailbox.text().replace("\u2060", "")
    assert [line for line in mailbox.text().splitlines() if line.startswith("https://evil")] == []
    assert leads_only_to_us(mailbox.text())


def test_an_agent_that_invites_is_named_as_one(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    # Whoever registers an agent chooses its address, which is not verified.
    agent = make_agent(organization, email="ceo@bank.example", scopes=["admin:orgs"])
    Principal.objects.filter(pk=agent.pk).update(role=Principal.Role.ADMIN)

    assert invite(client_for(agent), organization).status_code == 201
    mailbox.deliver()

    text = mailbox.text()
    assert text.startswith("The agent ceo@bank.example has invited you to join")
    assert leads_only_to_us(text)


def test_nobody_waits_for_a_new_password_behind_the_invitations_of_others(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    make_user(ADDRESS, OLD)
    invite(client_for(make_membership(organization)), organization, "ada@example.com")
    ask(ADDRESS)

    with connection.cursor() as cursor:  # the jobs a worker takes first
        cursor.execute("SELECT task_name FROM procrastinate_fetch_job_v2(%s, NULL)", [[QUEUE]])
        assert cursor.fetchone() == (PASSWORD,)


OTHER_ON_THE_WIRE = {
    "straße.example": "strasse.example",
    "ﬁrm.example": "firm.example",
    "\uff45xample.com": "example.com",
    "soft\u00adhyphen.example": "softhyphen.example",
    "example.com\u3002evil.example": "example.com.evil.example",
    "xn--mnchen-3ya.example": "münchen.example",
    "MÜNCHEN.example": "münchen.example",
}


@pytest.mark.parametrize("domain", OTHER_ON_THE_WIRE)
def test_an_address_whose_mail_would_go_elsewhere_is_refused_and_the_other_one_named(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox, domain: str
) -> None:
    as_owner = client_for(make_membership(organization))
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(make_user("hopper@example.com", OLD))

    invited = invite(as_owner, organization, f"bob@{domain}")
    path = f"/api/v1/organizations/{organization.public_id}/members"
    added = as_owner.post(path, {"email": f"bob@{domain}", "role": "viewer"}, JSON)
    changed = browser.post("/email", {"email": f"bob@{domain}", "current": OLD})

    assert (invited.status_code, added.status_code, changed.status_code) == (400, 400, 400)
    assert f"go to {OTHER_ON_THE_WIRE[domain]}." in str(invited.json()["details"]["email"])
    assert mailbox.queued() == []


@pytest.mark.parametrize("domain", ["münchen.example", "例え.example", "xn--strae-oqa.example"])
def test_an_address_in_letters_of_its_own_gets_its_mail(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox, domain: str
) -> None:
    invite(client_for(make_membership(organization)), organization, f"bob@{domain}")

    mailbox.deliver()

    assert mailbox.mails[0]["To"] == f"bob@{domain.encode('idna').decode()}"


def test_the_members_page_says_that_it_was_mailed_and_shows_no_link(
    organization: Organization, signed_in: Any, mailbox: Mailbox
) -> None:
    browser = signed_in(make_membership(organization))

    page = browser.post("/members/invitations", {"email": ADDRESS, "role": "viewer"})

    assert f"An invitation is on its way to {ADDRESS}" in page.content.decode()
    assert "/invitations/" not in page.content.decode().replace("/members/invitations", "")
