"""The organization that a person chose in a browser session."""

from typing import cast

from django.http import HttpRequest

from organizations.models import Membership, User

CHOSEN_ORGANIZATION = "organization_id"
"""The key in the session."""


def chosen_membership(request: HttpRequest) -> Membership | None:
    """The membership chosen in the session, or else the person's oldest in an active
    organization."""
    memberships = Membership.objects.usable().filter(user=cast(User, request.user))
    chosen = request.session.get(CHOSEN_ORGANIZATION)
    found = memberships.filter(organization_id=chosen).first() if chosen else None
    return found or memberships.first()
