"""Email addresses that mean to everybody, and to every mail server, what they show."""

from django.core.exceptions import ValidationError


def validate_mail_address(address: str) -> None:
    """Accept only addresses at a named domain, in plain characters; Django accepts more.

    An address literal (`ada@[127.0.0.1]`) or a bare `localhost` lets the mail server talk to a
    machine of its own network; an encoded word (RFC 2047) or a quoted part shows another address
    than the one that gets the mail.
    """
    domain = address.rpartition("@")[2]
    if "." not in domain or "[" in domain or "=?" in address or '"' in address:
        raise ValidationError(
            "Use an address at a domain, such as ada@example.com, without quotes or encoded words."
        )
