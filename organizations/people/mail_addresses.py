"""Validates that an email address means the same to people and to every mail server."""

import string

from django.core.exceptions import ValidationError

from core.text import normalized

MAX_DOMAIN_LENGTH = 253
"""Characters of a domain in mail (RFC 1035 section 2.3.4). IDNA only counts after much work."""
SMALL_LETTERS = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def validate_mail_address(address: str) -> None:
    """Raise ValidationError unless the address is in plain characters at a named domain.

    Django accepts more. An address literal (`ada@[127.0.0.1]`) or a bare `localhost` lets the mail
    server connect to its own network. An encoded word (RFC 2047), a quoted part, or a domain that
    mail servers convert differs from the address that receives the mail.
    """
    domain = address.rpartition("@")[2]
    if "." not in domain or "[" in domain or "=?" in address or '"' in address:
        raise ValidationError(
            "Use an address at a domain, such as ada@example.com, without quotes or encoded words."
        )
    mailed_to = domain_as_mailed(domain)
    if mailed_to is None:
        raise ValidationError("The domain of this address cannot receive mail.")
    if normalized(domain).translate(SMALL_LETTERS) != mailed_to:
        raise ValidationError(
            f"Mail to this domain would go to {mailed_to}. Write that if it is the one you mean."
        )


def domain_as_mailed(domain: str) -> str | None:
    """The domain in the spelling that Django's mail goes to, or None if it has none.

    Django applies IDNA 2003 (RFC 3490), which maps "ß" to "ss", other dots to full stops, and
    full-width letters to plain ones. Labels that only newer rules allow are returned as `xn--…`.
    """
    if len(domain) > MAX_DOMAIN_LENGTH:
        return None
    try:
        sent = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return ".".join(map(_shown, sent.split("."))).translate(SMALL_LETTERS)


def _shown(label: str) -> str:
    """The label in Unicode, or unchanged if it cannot be decoded."""
    try:
        return label.encode("ascii").decode("idna")
    except UnicodeError:
        return label
