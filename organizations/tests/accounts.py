"""Requests about accounts and invitations."""

from typing import Any

from django.test import Client

from organizations.models import AuditEvent, Organization
from organizations.tenancy.scope import organization_scope

ADDRESS = "grace@example.com"
OLD, NEW = "a long and quiet password", "another long and quiet one"
JSON = "application/json"
RESET = "/api/v1/auth/password-reset"


def invite(client: Client, organization: Organization, email: str = ADDRESS) -> Any:
    path = f"/api/v1/organizations/{organization.public_id}/invitations"
    return client.post(path, {"email": email, "role": "operator"}, JSON)


def accept(link: str, password: str = NEW) -> Any:
    body = {"token": link.rpartition("/")[2], "name": "Grace", "password": password}
    return Client().post("/api/v1/invitations/accept", body, JSON)


def sign_in(password: str, email: str = ADDRESS) -> int:
    body = {"email": email, "password": password}
    return Client().post("/api/v1/auth/login", body, JSON).status_code


def ask(email: str, **headers: str) -> Any:
    return Client().post(RESET, {"email": email}, JSON, **headers)


def actions_in(organization: Organization) -> list[str]:
    with organization_scope(organization):
        return list(AuditEvent.objects.in_order().values_list("action", flat=True))
