"""Changing an address by a mailed link, with a real mail server."""

from typing import Any

import pytest
from django.test import Client

from core.throttling import Quota
from organizations.models import AuditEvent, Organization, User
from organizations.people import mailing
from organizations.tenancy.scope import organization_scope
from organizations.tests.accounts import ADDRESS, NEW, OLD, actions_in, ask, sign_in
from organizations.tests.factories import make_membership, make_user
from organizations.tests.smtp import LINK, Mailbox


def change(
    browser: Client, email: str = "hopper@example.com", current: str = OLD, **extra: str
) -> Any:
    return browser.post("/email", {"email": email, "current": current}, **extra)


@pytest.fixture
def grace(organization: Organization) -> User:
    user = make_user(ADDRESS, OLD)
    make_membership(organization, user=user)
    return user


@pytest.fixture
def browser(grace: User) -> Client:
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(grace)
    return browser


def test_another_address_counts_once_its_link_was_opened(
    organization: Organization, grace: User, browser: Client, mailbox: Mailbox
) -> None:
    change(browser)
    mailbox.deliver()
    grace.refresh_from_db()
    before = grace.email
    opened = browser.get(mailbox.link(0))
    stays = grace.email
    done = browser.post(mailbox.link(0), {"current": OLD})

    assert [mail["To"] for mail in mailbox.mails] == ["hopper@example.com", ADDRESS]
    assert "hopper@example.com" in mailbox.text(1)
    assert LINK.findall(mailbox.text(1)) == ["/password"]
    assert (before, stays, opened.status_code, done.status_code) == (ADDRESS, ADDRESS, 200, 302)
    grace.refresh_from_db()
    assert (grace.email, grace.is_verified) == ("hopper@example.com", True)
    assert (sign_in(OLD), sign_in(OLD, "hopper@example.com")) == (401, 200)
    assert browser.get("/email").status_code == 200  # this session continues
    assert browser.post(mailbox.link(0), {"current": OLD}).status_code == 404
    assert "person.address_changed" in actions_in(organization)


def test_confirmation_mails_are_limited_per_person_and_per_address_and_network(
    organization: Organization, browser: Client, mailbox: Mailbox
) -> None:
    of_person = [change(browser, f"hopper{n}@example.com").status_code for n in range(6)]
    others = []
    for _ in range(5):
        other = Client(headers={"Accept": "text/html"})
        other.force_login(make_membership(organization, user=make_user(None, OLD)).user)
        others.append(change(other, "Hopper4@example.com").status_code)
    elsewhere = change(other, "hopper4@example.com", REMOTE_ADDR="203.0.113.9").status_code

    assert of_person == [302] * 5 + [429]
    assert others == [302] * 4 + [429]  # the person has asked once already
    assert elsewhere == 302  # other networks do not use up a person's own attempts
    assert len(mailbox.queued()) == 10


def test_what_others_asked_delays_a_mail_and_changes_no_answer(
    organization: Organization,
    browser: Client,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailing, "CHANGES_TO", Quota(1, mailing.CHANGES_TO.window))
    other = Client(headers={"Accept": "text/html"})
    other.force_login(make_membership(organization, user=make_user(None, OLD)).user)

    answers = [change(each, "hopper@example.com").status_code for each in (other, browser)]
    mailbox.deliver()

    assert answers == [302, 302]
    assert mailbox.mails[0]["To"] == "hopper@example.com"
    assert len(mailbox.queued()) == 1, "the second waits"


def test_links_that_went_to_the_address_before_end_with_it(
    grace: User, browser: Client, mailbox: Mailbox
) -> None:
    ask(ADDRESS)
    change(browser)
    mailbox.deliver()
    assert browser.post(mailbox.link(1), {"current": OLD}).status_code == 302

    assert Client().post(mailbox.link(0), {"new": NEW}).status_code == 404


def test_a_link_to_another_address_is_its_own_persons_only(
    grace: User, browser: Client, mailbox: Mailbox
) -> None:
    change(browser)
    mailbox.deliver()
    other = Client()
    other.force_login(make_user("eve@example.com", OLD))

    answers = [
        other.post(mailbox.link(0), {"current": OLD}).status_code,
        Client().post(mailbox.link(0), {"current": OLD}).status_code,
        browser.post(mailbox.link(0), {"current": "not the password"}).status_code,
    ]

    assert answers == [404, 302, 400]
    grace.refresh_from_db()
    assert grace.email == ADDRESS


def test_asking_for_an_address_does_not_tell_whether_somebody_has_it(
    grace: User, browser: Client, mailbox: Mailbox
) -> None:
    make_user("taken@example.com", OLD)

    answers = [change(browser, email) for email in ("taken@example.com", "free@example.com")]
    mailbox.deliver()
    taken = next(n for n, mail in enumerate(mailbox.mails) if mail["To"] == "free@example.com")

    assert [answer.status_code for answer in answers] == [302, 302]
    assert browser.post(mailbox.link(taken), {"current": OLD}).status_code == 302


def test_an_address_that_another_account_proved_stays_theirs(
    grace: User, browser: Client, mailbox: Mailbox
) -> None:
    make_user("taken@example.com", OLD)
    change(browser, "taken@example.com")
    mailbox.deliver()

    answer = browser.post(mailbox.link(0), {"current": OLD})

    assert answer.status_code == 400
    assert "Another account has already verified" in answer.content.decode()
    grace.refresh_from_db()
    assert grace.email == ADDRESS


def test_a_person_verifies_the_address_they_already_have(
    organization: Organization, mailbox: Mailbox
) -> None:
    user = make_user(ADDRESS, OLD, email_verified_at=None)
    make_membership(organization, user=user)
    browser = Client()
    browser.force_login(user)

    change(browser, ADDRESS)
    mailbox.deliver()
    browser.post(mailbox.link(), {"current": OLD})

    user.refresh_from_db()
    assert user.is_verified
    assert len(mailbox.mails) == 1


def test_without_mail_another_address_counts_at_once_and_is_unproven(
    organization: Organization, grace: User, browser: Client
) -> None:
    wrong = change(browser, current="not the password")
    done = change(browser)

    grace.refresh_from_db()
    assert (wrong.status_code, done.status_code) == (400, 302)
    assert (grace.email, grace.is_verified) == ("hopper@example.com", False)
    assert sign_in(OLD, "hopper@example.com") == 200
    assert browser.get("/email").status_code == 200
    with organization_scope(organization):
        event = AuditEvent.objects.get(action="person.address_changed")
    assert event.metadata["before"] == ADDRESS


def test_a_colleagues_address_is_refused(
    organization: Organization, grace: User, browser: Client
) -> None:
    make_membership(organization, user=make_user("boss@example.com"))

    answer = change(browser, "Boss@example.com")

    assert answer.status_code == 400
    grace.refresh_from_db()
    assert grace.email == ADDRESS
