from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.errors import bearer_challenge


class InsufficientScope(APIException):
    """RFC 6750 section 3.1: the challenge names the required scopes."""

    status_code = 403
    default_code = "insufficient_scope"

    def __init__(self, scopes: tuple[str, ...]) -> None:
        super().__init__(f"This needs the scope {' '.join(scopes)}.")
        self.auth_header = bearer_challenge("insufficient_scope", scope=" ".join(scopes))


class HasRequiredScopes(BasePermission):
    """Requires a sign-in and the scopes that the view's `required_scopes` lists for the action.

    `required_scopes` maps an action (`list`, `create`, …) to a tuple of scopes; an empty tuple
    allows any valid bearer of the organization. An action that is missing is refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not (request.user and request.user.is_authenticated):
            return False
        if view.action is None:
            return True  # no handler for this method: the framework answers 405
        scopes: tuple[str, ...] | None = view.required_scopes.get(view.action)
        if scopes is None:
            return False
        if not view.actor.may(*scopes):
            raise InsufficientScope(scopes)
        return True
