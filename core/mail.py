"""Plain-text mails from templates/mail, which the worker sends through Django's mail backend."""

import re
from datetime import datetime

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

logger = structlog.get_logger(__name__)

LINKING = re.compile(r"[.:/@](?=\S)")
MAIL_ADDRESS = re.compile(r"[^\s@:/]+@[^\s@:/]+")
WORD_JOINER = "\u2060"
"""An invisible character that prevents a line break."""


def is_enabled() -> bool:
    """Whether this deployment sends mail (AGENTIDP_EMAIL_URL)."""
    return bool(settings.EMAIL_URL)


def send(template: str, to: str, *, subject: str, **context: object) -> None:
    """Send one mail to one address.

    Errors of the mail server are raised, so that the job is retried. Text that users typed (names,
    addresses) is kept on one line, cannot inject a header, is not decoded in one and never becomes
    a link. Only `link` is one, and AgentIdP makes it.
    """
    values = {
        name: value if name == "link" else _plain_text(value) for name, value in context.items()
    }
    body = render_to_string(f"mail/{template}.txt", values | {"issuer": settings.ISSUER})
    EmailMessage(
        header_text(subject), body, to=[to], headers={"Auto-Submitted": "auto-generated"}
    ).send()
    logger.info("mail.sent", template=template)


def _plain_text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.day} {value:%B %Y, %H:%M} UTC"
    return without_links(one_line(str(value)))


def without_links(text: str) -> str:
    """The text with word joiners, so that mail programs make no links of it.

    Mail addresses are kept intact, since readers may want to copy them.
    """
    return " ".join(
        word if MAIL_ADDRESS.fullmatch(word) else LINKING.sub(f"\\g<0>{WORD_JOINER}", word)
        for word in text.split(" ")
    )


def header_text(text: str) -> str:
    """The text on one line, with a word joiner in what mail programs would decode (RFC 2047): a
    header that holds `=?` in plain ASCII would be shown as something else than was typed."""
    return one_line(text).replace("=?", f"={WORD_JOINER}?")


def one_line(text: str) -> str:
    """The text on one line, with spaces in place of unprintable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
