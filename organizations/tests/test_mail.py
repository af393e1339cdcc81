"""Links that travel by mail, through a real mail server."""

import re
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.tests.factories import make_agent
from conftest import ClientFor
from organizations.models import (
    AccountLink,
    AuditEvent,
    Invitation,
    Organization,
    Principal,
    User,
)
from organizations.people.mailing import PASSWORD, QUEUE
from organizations.tenancy.scope import organization_scope
from organizations.tests.blocking import until_it_waits
from organizations.tests.factories import make_membership, make_organization, make_user
from organizations.tests.smtp import LINK, Mailbox, mail_server
from tokens.tests.factories import access_token_for

ADDRESS = "grace@example.com"
LINKABLE = re.compile(r"\w+://\S+|(?<![\w@.-])[\w.-]+\.[a-z]{2,}(?!@)\b\S*")
"""What programs for mail make a link of, to a page."""
OLD, NEW = "a long and quiet password", "another long and quiet one"
JSON = "application/json"
RESET = "/api/v1/auth/password-reset"


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    with mail_server(settings) as mailbox:
        yield mailbox


def invite(client: Client, organization: Organization, email: str = ADDRESS) -> Any:
    path = f"/api/v1/organizations/{organization.public_id}/invitations"
    return client.post(path, {"email": email, "role": "operator"}, JSON)


def accept(link: str, password: str = NEW) -> Any:
    body = {"token": link.rpartition("/")[2], "name": "Grace", "password": password}
    return Client().post("/api/v1/invitations/accept", body, JSON)


def sign_in(password: str, email: str = ADDRESS) -> int:
    body = {"email": email, "password": password}
    return Client().post("/api/v1/auth/login", body, JSON).status_code


def ask(email: str, **headers: str) -> Any:
    return Client().post(RESET, {"email": email}, JSON, **headers)


def actions_in(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return list(AuditEvent.objects.in_order().values_list("action", flat=True))


def leads_only_to_us(text: str) -> bool:
    found = LINKABLE.findall(text)
    return bool(found) and all(each.startswith(settings.ISSUER) for each in found)


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
def test_two_mailed_links_of_one_address_are_opened_at_once(mailbox: Mailbox) -> None:
    for place in [make_organization() for _ in range(4)]:
        owner = make_membership(place)
        invite(Client(headers=bearer(owner)), place)
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
    assert mail["Subject"] == f"Invitation to {shown}"
    assert mail["Bcc"] is None
    assert mail.get_content_type() == "text/plain"
    assert f"“{shown}”" in mailbox.text().replace("\u2060", "")
    assert [line for line in mailbox.text().splitlines() if line.startswith("https://evil")] == []
    assert leads_only_to_us(mailbox.text())


def test_an_agent_that_invites_is_named_as_one(
    organization: Organization, client_for: ClientFor, mailbox: Mailbox
) -> None:
    # Whoever makes an agent writes its address, which nobody has proven.
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

    with connection.cursor() as cursor:  # what a worker takes first
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
    changed = change(browser, f"bob@{domain}")

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


def test_nobody_is_flooded_with_invitations_that_are_taken_back(
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
    assert of_all == [201] * 25 + [429] * 5
    assert len(mailbox.queued()) == 5 + 1 + 25


def test_the_members_page_says_that_it_was_mailed_and_shows_no_link(
    organization: Organization, signed_in: Any, mailbox: Mailbox
) -> None:
    browser = signed_in(make_membership(organization))

    page = browser.post("/members/invitations", {"email": ADDRESS, "role": "viewer"})

    assert f"An invitation is on its way to {ADDRESS}" in page.content.decode()
    assert "/invitations/" not in page.content.decode().replace("/members/invitations", "")


# A forgotten password


def test_a_forgotten_password_is_replaced_and_every_session_ends(
    organization: Organization, mailbox: Mailbox
) -> None:
    member = make_membership(organization, user=make_user(ADDRESS, OLD))
    browser, api = Client(), Client(headers=bearer(member))
    browser.login(username=ADDRESS, password=OLD)

    assert ask("GRACE@example.com").status_code == 202
    mailbox.deliver()
    done = Client().post(mailbox.link(), {"new": NEW})

    assert (done.status_code, done["Location"]) == (302, "/login")
    assert (sign_in(OLD), sign_in(NEW)) == (401, 200)
    assert browser.get("/agents").status_code == 302
    assert api.get("/api/v1/agents").status_code == 401
    assert "person.password_reset" in actions_in(organization)


def bearer(member: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token_for(member)}"}


def test_a_reset_link_works_once(db: None, mailbox: Mailbox) -> None:
    make_user(ADDRESS, OLD)
    ask(ADDRESS)
    mailbox.deliver()

    first = Client().post(mailbox.link(), {"new": NEW})
    second = Client().post(mailbox.link(), {"new": "a third long password"})

    assert (first.status_code, second.status_code) == (302, 404)
    assert sign_in(NEW, ADDRESS) == 401  # they belong nowhere, but the password is theirs
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
        with django_assert_num_queries(3):
            answers.append(ask(address))
        assert len(mailbox.queued()) == len(answers)

    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    mailbox.deliver()
    assert [mail["To"] for mail in mailbox.mails] == [ADDRESS]


def test_asking_is_limited_for_a_place(db: None, mailbox: Mailbox) -> None:
    of_place = [ask(f"{number}@example.com").status_code for number in range(31)]

    assert of_place == [202] * 30 + [429]


def ask_often(mailbox: Mailbox, times: int) -> None:
    """As strangers in many places, for somebody else's address."""
    for number in range(times):
        assert ask(ADDRESS, REMOTE_ADDR=f"203.0.113.{number}").status_code == 202
    mailbox.deliver()


def test_strangers_who_ask_for_an_address_keep_nobody_from_a_new_password(
    db: None, mailbox: Mailbox
) -> None:
    make_user(ADDRESS, OLD)
    ask_often(mailbox, 12)

    own = ask(ADDRESS)
    mailbox.deliver()
    done = Client().post(mailbox.link(), {"new": NEW})

    assert (own.status_code, own.content) == (202, b"")
    assert len(mailbox.mails) == 5  # no flood, and the last of them has the link that works
    assert done.status_code == 302


@pytest.mark.parametrize("how", ["used", "nearly over"])
def test_whose_link_no_longer_helps_gets_another_however_many_were_mailed(
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


def test_the_operator_names_the_account_where_an_address_has_several(
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


# Another address


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
    assert browser.get("/email").status_code == 200  # this session goes on
    assert browser.post(mailbox.link(0), {"current": OLD}).status_code == 404
    assert "person.address_changed" in actions_in(organization)


def test_mails_that_confirm_an_address_are_limited_for_a_person_and_for_an_address_at_a_place(
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
    assert others == [302] * 4 + [429]  # the person before them asked once
    assert elsewhere == 302  # strangers use up nobody's own requests
    assert len(mailbox.queued()) == 10


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


def test_somebody_proves_the_address_that_they_have(
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


def test_nobody_takes_the_address_of_a_colleague(
    organization: Organization, grace: User, browser: Client
) -> None:
    make_membership(organization, user=make_user("boss@example.com"))

    answer = change(browser, "Boss@example.com")

    assert answer.status_code == 400
    grace.refresh_from_db()
    assert grace.email == ADDRESS
