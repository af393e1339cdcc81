"""Email addresses that mean to everybody, and to every mail server, what they show."""

import string

from django.core.exceptions import ValidationError

from core.text import normalized

SMALL_LETTERS = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def validate_mail_address(address: str) -> None:
    """Accept only addresses at a named domain, in plain characters; Django accepts more.

    An address literal (`ada@[127.0.0.1]`) or a bare `localhost` lets the mail server talk to a
    machine of its own network; an encoded word (RFC 2047), a quoted part or a domain in a form of
    letters that mail servers write in another way shows another address than the one that gets
    the mail.
    """
    domain = address.rpartition("@")[2]
    if "." not in domain or "[" in domain or "=?" in address or '"' in address:
        raise ValidationError(
            "Use an address at a domain, such as ada@example.com, without quotes or encoded words."
        )
    mailed_to = domain_as_mailed(domain)
    if mailed_to is None:
        raise ValidationError("No mail server can write the domain of this address.")
    if normalized(domain).translate(SMALL_LETTERS) != mailed_to:
        raise ValidationError(
            f"Mail to this domain would go to {mailed_to}. Write that if it is the one you mean."
        )


def domain_as_mailed(domain: str) -> str | None:
    """The one spelling of the domain that Django's mails go to; None where there is none.

    Mails are sent by the rules of 2003 (RFC 3490), which make "ss" of "ß", a full stop of other
    dots, and plain letters of wide ones. What only newer rules know is written as `xn--…`.
    """
    try:
        sent = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return ".".join(map(_shown, sent.split("."))).translate(SMALL_LETTERS)


def _shown(label: str) -> str:
    """A part of a domain in its own letters, where these lead back to it."""
    try:
        return label.encode("ascii").decode("idna")
    except UnicodeError:
        return label
