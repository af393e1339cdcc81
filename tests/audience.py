"""Viewers of a tenant, and which of them have lost access."""

from datetime import UTC, datetime
from uuid import UUID

import jwt

from live.reading import read_news
from organizations.models import User
from organizations.stream_access import Viewer
from tests.endings import claims_of
from tests.tenants import Tenant


def ended_viewers(viewers: list[Viewer]) -> set[Viewer]:
    """The viewers whose streams the hub would end now."""
    return read_news((), viewers).ended


class Audience:
    """Viewers as they were when they opened their streams, whatever happened to them since."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        people = [tenant.person(role) for role in ("owner", "admin", "viewer")]
        self.roles = {str(each.user_id): each.role for each in people}
        users = User.objects.filter(memberships__organization=tenant.organization)
        self.valid_from = {str(user.pk): user.sessions_valid_from for user in users}

    def viewer(self, token: str) -> Viewer:
        """The viewer that opens a stream with this token."""
        claims = claims_of(token)
        return Viewer(
            kind=claims["token_use"],
            organization=self.tenant.organization.pk,
            principal=UUID(claims["sub"]),
            role=self.roles.get(claims["sub"], ""),
            credential=UUID(claims["credential_id"]) if "credential_id" in claims else None,
            session=UUID(claims["session_id"]) if "session_id" in claims else None,
            token=UUID(claims["jti"]),
            kid=jwt.get_unverified_header(token)["kid"],
            issued=datetime.fromtimestamp(claims["iat"], UTC),
            valid_from=self.valid_from.get(claims["sub"]),
        )
