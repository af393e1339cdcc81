"""Mails: plain text from templates/mail, sent by the worker through Django's backend."""

from datetime import datetime

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

logger = structlog.get_logger(__name__)


def is_enabled() -> bool:
    """Whether this deployment sends mail (AGENTIDP_EMAIL_URL)."""
    return bool(settings.EMAIL_URL)


def send(template: str, to: str, *, subject: str, **context: object) -> None:
    """One mail to one address; raises what the mail server's refusal raises, so a job tries again.

    What others typed (names, addresses) stays on its line and cannot become a header.
    """
    values = {name: _word(value) for name, value in context.items()}
    body = render_to_string(f"mail/{template}.txt", values | {"issuer": settings.ISSUER})
    EmailMessage(
        one_line(subject), body, to=[to], headers={"Auto-Submitted": "auto-generated"}
    ).send()
    logger.info("mail.sent", template=template)


def _word(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.day} {value:%B %Y, %H:%M} UTC"
    return one_line(str(value))


def one_line(text: str) -> str:
    """The text without line breaks and other characters that nobody sees."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
