"""Renews the MACs of client secrets that were computed with an older pepper."""

import hashlib
import hmac
from uuid import UUID

from django.conf import settings
from django.db import connection

from organizations.models import Principal
from organizations.tenancy.scope import organization_scope
from tokens.known_secrets import is_newest
from tokens.models import secret_mac

HOLDS = """
    organization_id = %(organization)s AND agent_id = %(agent)s AND (
        secret_mac = %(other)s OR previous_secret_mac = %(other)s
        OR %(other)s = ANY (earlier_secret_macs))
"""
FIND = f"SELECT EXISTS (SELECT FROM tokens_credential WHERE {HOLDS})"  # noqa: S608 - no user input
RENEW = f"""
    UPDATE tokens_credential
    SET secret_mac = CASE WHEN secret_mac = %(other)s THEN %(mac)s ELSE secret_mac END,
        previous_secret_mac = CASE WHEN previous_secret_mac = %(other)s THEN %(mac)s
                                   ELSE previous_secret_mac END,
        earlier_secret_macs = array_replace(earlier_secret_macs, %(other)s, %(mac)s)
    WHERE {HOLDS}
"""  # noqa: S608 - no user input


def stored_mac(client_id: UUID, secret: str) -> bytes:
    """The MAC under which the database may store the secret.

    A stored MAC with an older pepper is renewed, which only the client's secret makes possible.
    Without fallback peppers this costs no query.
    """
    mac = secret_mac(secret)
    if not settings.SECRET_PEPPER_FALLBACKS:
        return mac
    principal = Principal.objects.filter(pk=client_id).first()
    if principal is None:
        return mac
    # A process that still uses the older pepper must not undo renewals of others.
    renews = is_newest("AGENTIDP_SECRET_PEPPER")
    ids: dict[str, UUID | bytes] = {
        "organization": principal.organization_id,
        "agent": client_id,
        "mac": mac,
    }
    with organization_scope(principal.organization_id), connection.cursor() as cursor:
        for pepper in settings.SECRET_PEPPER_FALLBACKS:
            other = hmac.digest(pepper.encode(), secret.encode(), hashlib.sha256)
            cursor.execute(RENEW if renews else FIND, ids | {"other": other})
            if not renews and cursor.fetchone()[0]:
                return other
    return mac
