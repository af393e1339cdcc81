"""Resetting a password by a mailed link, with a real mail server."""

import smtplib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from conftest import ClientFor
from core.addresses import wider_network
from core.throttling import WIDER_RESETS_FROM, throttle_key
from organizations.models import AccountLink, Attempt, Organization, User
from organizations.tests.accounts import ADDRESS, NEW, OLD, actions_in, ask, sign_in
from organizations.tests.blocking import until_it_waits
from organizations.tests.factories import make_membership, make_user
from organizations.tests.smtp import LINK, Mailbox


def test_a_forgotten_password_is_replaced_and_every_session_ends(
    organization: Organization, mailbox: Mailbox, client_for: ClientFor
) -> None:
    member = make_membership(organization, user=make_user(ADDRESS, OLD))
    browser, api = Client(), client_for(member)
    browser.login(username=ADDRESS, password=OLD)

    assert ask("GRACE@example.com").status_code == 202
    mailbox.deliver()
    done = Client().post(mailbox.link(), {"new": NEW})

    assert (done.status_code, done["Location"]) == (302, "/login")
    assert (sign_in(OLD), sign_in(NEW)) == (401, 200)
    assert browser.get("/agents").status_code == 302
    assert api.get("/api/v1/agents").status_code == 401
    assert "person.password_reset" in actions_in(organization)


def test_a_reset_link_works_once(db: None, mailbox: Mailbox) -> None:
    make_user(ADDRESS, OLD)
    ask(ADDRESS)
    mailbox.deliver()

    first = Client().post(mailbox.link(), {"new": NEW})
    second = Client().post(mailbox.link(), {"new": "a third long password"})

    assert (first.status_code, second.status_code) == (302, 404)
    assert sign_in(NEW, ADDRESS) == 401  # signing in needs a membership, but the password is right
    assert User.objects.get().check_password(NEW)


def test_a_reset_locks_the_person_before_the_link_as_every_other_change_of_an_account(
    owner: psycopg.Connection, mailbox: Mailbox
) -> None:
    make_user(ADDRESS, OLD)
    ask(ADDRESS)
    mailbox.deliver()

    def reset() -> int:
        try:
            return Client().post(mailbox.link(), {"new": NEW}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("SELECT FROM organizations_user FOR UPDATE")
        answer = pool.submit(reset)
        until_it_waits(answer, owner)
        owner.execute("SELECT FROM organizations_accountlink FOR UPDATE NOWAIT")

    assert answer.result() == 302


def test_a_link_does_not_go_to_an_address_that_is_being_left(
    owner: psycopg.Connection, mailbox: Mailbox
) -> None:
    make_user(ADDRESS, OLD)
    ask(ADDRESS)

    def deliver() -> None:
        try:
            mailbox.deliver()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool, owner.transaction():
        owner.execute("UPDATE organizations_user SET email = 'hopper@example.com'")
        delivery = pool.submit(deliver)
        until_it_waits(delivery, owner)

    delivery.result()
    assert [mail["To"] for mail in mailbox.mails] == ["hopper@example.com"]


SPOILED = ["expired", "replaced", "closed account", "edited", "other use", "changed password"]


@pytest.mark.parametrize("spoil", SPOILED)
def test_a_spoiled_reset_link_is_gone(db: None, mailbox: Mailbox, spoil: str) -> None:
    user = make_user(ADDRESS, OLD)
    ask(ADDRESS)
    mailbox.deliver()
    link = mailbox.link()
    if spoil == "expired":
        AccountLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif spoil == "replaced":
        ask(ADDRESS)
        mailbox.deliver()
    elif spoil == "closed account":
        User.objects.update(is_active=False)
    elif spoil == "edited":
        link = link[:-1] + ("A" if link[-1] != "A" else "B")
    elif spoil == "changed password":
        browser = Client()
        browser.force_login(user)
        browser.post("/password", {"current": OLD, "new": OLD})
    else:
        AccountLink.objects.update(purpose="address")

    assert Client().get(link).status_code == Client().post(link, {"new": NEW}).status_code == 404
    user.refresh_from_db()
    assert user.check_password(OLD)


def test_a_reset_link_lasts_an_hour_at_most(db: None, mailbox: Mailbox) -> None:
    make_user(ADDRESS, OLD)
    ask(ADDRESS)
    mailbox.deliver()

    left = AccountLink.objects.get().expires_at - timezone.now()

    assert timedelta(minutes=50) < left <= timedelta(hours=1)


def test_a_weak_password_keeps_the_link(db: None, mailbox: Mailbox) -> None:
    make_user(ADDRESS, OLD)
    ask(ADDRESS)
    mailbox.deliver()

    weak = Client().post(mailbox.link(), {"new": "short"})

    assert weak.status_code == 400
    assert Client().post(mailbox.link(), {"new": NEW}).status_code == 302


def test_the_answer_is_the_same_for_every_address(
    organization: Organization, mailbox: Mailbox, django_assert_num_queries: Any
) -> None:
    make_user(ADDRESS, OLD)
    make_user("unproven@example.com", OLD, email_verified_at=None)
    make_user("gone@example.com", OLD, is_active=False)
    make_user("named@example.com", OLD, username="grace@short.name")
    ask("warm@example.com")
    mailbox.deliver()
    addresses = [ADDRESS, "nobody@example.com", "unproven@example.com", "gone@example.com"]
    answers = []

    for address in [*addresses, "grace@short.name"]:
        with django_assert_num_queries(4):
            answers.append(ask(address))
        assert len(mailbox.queued()) == len(answers)

    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    mailbox.deliver()
    assert [mail["To"] for mail in mailbox.mails] == [ADDRESS]


def test_asking_is_limited_for_a_place(db: None, mailbox: Mailbox) -> None:
    of_place = [ask(f"{number}@example.com").status_code for number in range(31)]

    assert of_place == [202] * 30 + [429]


def test_requests_from_the_networks_of_one_customer_have_a_limit_together(
    db: None, mailbox: Mailbox
) -> None:
    addresses = ["2001:db8:1:1::1", "2001:db8:1:2::1"]
    assert ask(ADDRESS, REMOTE_ADDR=addresses[0]).status_code == 202
    wider = throttle_key("reset.from", wider_network(addresses[0]))
    Attempt.objects.filter(key=wider).update(attempts=WIDER_RESETS_FROM.limit - 1)

    answers = [ask(ADDRESS, REMOTE_ADDR=addresses[1]).status_code for _ in range(2)]

    assert answers == [202, 429]
    assert ask(ADDRESS, REMOTE_ADDR="2001:db8:2::1").status_code == 202


def ask_often(mailbox: Mailbox, times: int) -> None:
    """Request resets of the same address from many networks."""
    for number in range(times):
        assert ask(ADDRESS, REMOTE_ADDR=f"203.0.113.{number}").status_code == 202
    mailbox.deliver()


def test_resets_requested_by_strangers_do_not_block_the_person(db: None, mailbox: Mailbox) -> None:
    make_user(ADDRESS, OLD)
    ask_often(mailbox, 12)

    own = ask(ADDRESS)
    mailbox.deliver()
    done = Client().post(mailbox.link(), {"new": NEW})

    assert (own.status_code, own.content) == (202, b"")
    assert len(mailbox.mails) == 5  # the limit holds, and the last mail has the working link
    assert done.status_code == 302


@pytest.mark.parametrize("how", ["used", "nearly over"])
def test_a_person_without_a_working_link_gets_another_despite_the_limit(
    db: None, mailbox: Mailbox, how: str
) -> None:
    make_user(ADDRESS, OLD)
    ask_often(mailbox, 6)
    if how == "used":
        Client().post(mailbox.link(), {"new": NEW})
    else:
        AccountLink.objects.update(expires_at=timezone.now() + timedelta(minutes=9))

    ask(ADDRESS)
    mailbox.deliver()

    assert len(mailbox.mails) == 6
    assert Client().get(mailbox.link()).status_code == 200


def test_a_mail_that_could_not_be_sent_counts_for_none(db: None, mailbox: Mailbox) -> None:
    make_user(ADDRESS, OLD)
    mailbox.refusal = "451 later"
    for number in range(6):
        ask(ADDRESS, REMOTE_ADDR=f"203.0.113.{number}")
        with pytest.raises(smtplib.SMTPException):
            mailbox.deliver()

    mailbox.refusal = ""
    ask(ADDRESS)
    mailbox.deliver()

    assert Client().get(mailbox.link()).status_code == 200


def test_the_page_asks_and_tells_nothing(db: None, mailbox: Mailbox) -> None:
    make_user(ADDRESS, OLD)
    guest = Client()

    pages = [
        guest.post("/password/reset", {"email": email}) for email in (ADDRESS, "no@example.com")
    ]

    assert "/password/reset" in guest.get("/login").content.decode()
    assert pages[0].content == pages[1].content
    assert "Check your email" in pages[0].content.decode()
    mailbox.deliver()
    assert len(mailbox.mails) == 1


def test_without_mail_the_operator_hands_out_a_link(organization: Organization) -> None:
    make_membership(organization, user=make_user(ADDRESS, OLD, email_verified_at=None))

    refused = ask(ADDRESS)
    page = Client().post("/password/reset", {"email": ADDRESS}).content.decode()
    link = LINK.findall(printed(ADDRESS))[0]
    done = Client().post(link, {"new": NEW})

    assert (refused.status_code, refused.json()["code"]) == (409, "MAIL_NOT_CONFIGURED")
    assert "Ask its operator" in page
    assert done.status_code == 302
    assert (sign_in(OLD), sign_in(NEW)) == (401, 200)
    assert not User.objects.get(email=ADDRESS).is_verified
    offered = actions_in(organization)[:2]
    assert offered == ["person.password_reset_offered", "person.password_reset"]


def printed(name: str) -> str:
    out = StringIO()
    call_command("password_reset_link", name, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_operator_gives_the_id_if_an_address_has_several_accounts(
    organization: Organization,
) -> None:
    accounts = [make_user(ADDRESS, OLD, email_verified_at=None) for _ in range(2)]
    make_membership(organization, user=accounts[1])

    with pytest.raises(CommandError, match=r"2 accounts.*\n.*unproven, in") as raised:
        printed(ADDRESS)
    with pytest.raises(CommandError, match="There is no active account"):
        printed("nobody@example.com")

    assert all(str(account.pk) in str(raised.value) for account in accounts)
    assert LINK.search(printed(str(accounts[1].pk)))
