"""How many invitations are mailed to an address, whoever sends them."""

import smtplib
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from conftest import ClientFor
from core.database_clock import database_time
from core.throttling import Quota
from organizations.models import Invitation, Organization
from organizations.people import mailing
from organizations.people.mailing import QUEUE
from organizations.tenancy.scope import organization_scope
from organizations.tests.accounts import ADDRESS, accept, invite
from organizations.tests.factories import make_membership, make_organization, make_user
from organizations.tests.smtp import Mailbox


def test_repeated_invitations_to_one_address_are_limited(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    def invite_again(client: Client, place: Organization, email: str) -> int:
        with organization_scope(place):
            Invitation.objects.open().revoke()
        return int(invite(client, place, email).status_code)

    as_owner = client_for(make_membership(organization))
    of_one = [invite_again(as_owner, organization, "Grace@example.com") for _ in range(6)]
    another_address = invite_again(as_owner, organization, "ada@example.com")
    of_all = []
    for _ in range(6):
        other = make_organization()
        client = client_for(make_membership(other))
        of_all += [invite_again(client, other, ADDRESS) for _ in range(5)]

    assert of_one == [201] * 5 + [429]
    assert another_address == 201
    assert of_all == [201] * 30, "what others do changes no answer"
    assert len(mailbox.queued()) == 5 + 1 + 30


def test_what_others_invited_delays_a_mail_and_changes_no_answer(
    client_for: ClientFor, db: None, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "INVITATIONS_TO", Quota(2, mailing.INVITATIONS_TO.window))
    places = [make_organization() for _ in range(4)]

    answers = [invite(client_for(make_membership(place)), place) for place in places]
    mailbox.deliver()

    assert [answer.status_code for answer in answers] == [201] * 4
    assert [mail["To"] for mail in mailbox.mails] == [ADDRESS] * 2
    delayed = mailbox.queued()
    assert {each["organization_id"] for each in delayed} == {str(each.pk) for each in places[2:]}
    waiting = ProcrastinateJob.objects.filter(queue_name=QUEUE).order_by("-id")[:2]
    assert all(job.scheduled_at > database_time() + timedelta(minutes=50) for job in waiting)

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM organizations_attempt")  # an hour later
    mailbox.deliver()

    assert len(mailbox.mails) == 4
    assert accept(mailbox.link()).status_code == 201


def test_the_organizations_of_one_founder_invite_an_address_as_one(
    client_for: ClientFor, db: None, mailbox: Mailbox
) -> None:
    eve, ada = make_user(), make_user()
    own = [make_organization(created_by=eve) for _ in range(6)]
    others = make_organization(created_by=ada)

    answers = [
        invite(client_for(make_membership(place, user=eve)), place).status_code for place in own
    ]
    of_ada = invite(client_for(make_membership(others, user=ada)), others).status_code

    assert answers == [201] * 5 + [429]
    assert of_ada == 201


def test_a_mail_that_failed_does_not_count_for_its_address(
    organization: Organization,
    client_for: ClientFor,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailing, "INVITATIONS_TO", Quota(1, mailing.INVITATIONS_TO.window))
    invite(client_for(make_membership(organization)), organization)
    mailbox.refusal = "451 not now"
    with pytest.raises(smtplib.SMTPException):
        mailbox.deliver()
    mailbox.refusal = ""
    mailbox._done.clear()
    mailbox.deliver()

    assert len(mailbox.mails) == 1
