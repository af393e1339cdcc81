"""Mails: plain text from templates/mail, sent by the worker through Django's backend."""

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
"""Takes no room, and allows no new line where it stands."""


def is_enabled() -> bool:
    """Whether this deployment sends mail (AGENTIDP_EMAIL_URL)."""
    return bool(settings.EMAIL_URL)


def send(template: str, to: str, *, subject: str, **context: object) -> None:
    """One mail to one address; raises what the mail server's refusal raises, so a job tries again.

    What others typed (names, addresses) stays on its line, cannot become a header, and is no link:
    `link` alone leads somewhere, and it is ours.
    """
    values = {name: value if name == "link" else _word(value) for name, value in context.items()}
    body = render_to_string(f"mail/{template}.txt", values | {"issuer": settings.ISSUER})
    EmailMessage(
        one_line(subject), body, to=[to], headers={"Auto-Submitted": "auto-generated"}
    ).send()
    logger.info("mail.sent", template=template)


def _word(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.day} {value:%B %Y, %H:%M} UTC"
    return without_links(one_line(str(value)))


def without_links(text: str) -> str:
    """The same to read, but programs for mail make no link of it. Mail addresses stay as they are:
    somebody may want to copy them."""
    return " ".join(
        word if MAIL_ADDRESS.fullmatch(word) else LINKING.sub(f"\\g<0>{WORD_JOINER}", word)
        for word in text.split(" ")
    )


def one_line(text: str) -> str:
    """The text without line breaks and other characters that nobody sees."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
