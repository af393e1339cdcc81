"""People who sign in over the API, as tests do it."""

from typing import Any

from django.test import Client

from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope

PASSWORD = "a long and quiet password"
LOGIN = "/api/v1/auth/login"
SESSION = "/api/v1/auth/session"


def post(path: str, body: dict[str, Any], token: str = "", **extra: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return Client(headers=headers).post(path, body, content_type="application/json", **extra)


def log_in(email: str = "ada@example.com", password: str = PASSWORD, **body: Any) -> Any:
    return post(LOGIN, {"email": email, "password": password, **body})


def status_of(token: str) -> int:
    return Client(headers={"Authorization": f"Bearer {token}"}).get(SESSION).status_code


def actions_in(organization: Organization) -> list[tuple[str, str]]:
    with organization_scope(organization):
        return list(AuditEvent.objects.in_order().values_list("action", "outcome"))
