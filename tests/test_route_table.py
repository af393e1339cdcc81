"""The URLs, the OpenAPI document and the table of endpoints name the same operations."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import call_command
from rest_framework.serializers import ListField, ListSerializer

from agentidp.devtools.routes import METHODS, paths
from core.serializers import BoundedListField, StrictSerializer
from organizations.api.viewsets import OrganizationScopedViewSet
from tests.endpoint import CLIENT, ORGANIZATION, PAGE, PUBLIC, STAFF
from tests.endpoints import ENDPOINTS
from tests.routes import methods_of, openapi_document

VIEWS_OF_NO_ORGANIZATION: dict[str, str] = {
    "DescriptionView": "The description of the API is public.",
    "LogInView": "Nobody is known yet; it enters the organization of the person who proves it.",
    "KeyLogInView": "The same.",
    "RefreshView": "The refresh token names the organization.",
    "AcceptInvitationView": "The invitation names the organization.",
    "PasswordResetView": "The person's own account, whatever they belong to.",
}
"""API views that are no OrganizationScopedViewSet, and why that is right."""

PAGES_OF_NO_ORGANIZATION: dict[str, str] = {
    "/.well-known/jwks.json": "Public keys.",
    "/.well-known/oauth-authorization-server": "Public metadata.",
    "/.well-known/oauth-authorization-server/{issuer_path}": "Public metadata.",
    "/.well-known/oauth-protected-resource": "Public metadata.",
    "/.well-known/oauth-protected-resource/{resource_path}": "Public metadata.",
    "/.well-known/openid-configuration": "Public metadata.",
    "/.well-known/openid-configuration/{issuer_path}": "Public metadata.",
    "/{issuer_path}/.well-known/openid-configuration": "Public metadata.",
    "/authorize": "Refuses everybody.",
    "/livez": "Operators' probe.",
    "/readyz": "Operators' probe.",
    "/metrics": "Checks its own token.",
    "/login": "Nobody is known yet.",
    "/invitations/{token}": "The invitation names the organization.",
    "/logout": "Ends the person's own session.",
    "/organizations": "Shows the person's own memberships, to choose from.",
    "/password": "The person's own password, whatever they belong to.",
    "/password/reset": "The person's own password; nobody has signed in.",
    "/password/reset/{token}": "The link names the person.",
    "/email": "The person's own address, whatever they belong to.",
    "/email/confirm/{token}": "The link names the person, who has signed in.",
    "/organization": "Chooses one of the person's own memberships.",
    "/api/v1/token": "The client's secret is the proof; it enters the organization in one query.",
}
"""Plain views that are not `within_organization`, and why that is right."""


def documented_operations() -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, operations in openapi_document()["paths"].items()
        for method in operations
        if method.upper() in METHODS
    }


def in_table(*, documented: bool | None = None) -> set[tuple[str, str]]:
    return {
        (each.method, each.path)
        for each in ENDPOINTS
        if documented is None or each.is_documented is documented
    }


def test_every_route_stands_in_the_table_and_every_row_is_a_route(db: None) -> None:
    found = {(method, path) for path, view in paths() for method in methods_of(path, view)}

    assert found - in_table() == set(), "Add a row to tests/endpoints.py."
    assert in_table() - found == set(), "Remove the row from tests/endpoints.py."


def test_the_openapi_document_describes_every_operation_of_the_table() -> None:
    documented = documented_operations()

    assert documented == in_table(documented=True)


def test_no_row_stands_twice_and_every_exception_has_its_reason() -> None:
    assert len(in_table()) == len(ENDPOINTS)
    assert {each.access for each in ENDPOINTS} <= {PUBLIC, CLIENT, ORGANIZATION, PAGE, STAFF}
    for each in ENDPOINTS:
        needs_reason = each.access == PUBLIC or (
            not each.is_documented and each.access not in {PAGE, STAFF}
        )
        assert each.reason or not needs_reason, each


def test_every_api_view_is_sealed_into_its_organization() -> None:
    views = {view.cls for _, view in paths() if hasattr(view, "cls")}

    others = {view.__name__ for view in views if not issubclass(view, OrganizationScopedViewSet)}

    assert others == VIEWS_OF_NO_ORGANIZATION.keys()


def test_every_page_runs_within_its_organization() -> None:
    plain = {path: view for path, view in paths() if not hasattr(view, "cls")}

    others = {path for path, view in plain.items() if not hasattr(view, "required_scopes")}

    assert others == PAGES_OF_NO_ORGANIZATION.keys()


def test_every_page_without_a_reason_needs_a_sign_in() -> None:
    open_views = {
        path
        for path, view in paths()
        if not hasattr(view, "cls") and not getattr(view, "login_required", True)
    }

    assert open_views == {each.path for each in ENDPOINTS if each.access in {PUBLIC, CLIENT}} & {
        path for path, view in paths() if not hasattr(view, "cls")
    }


def test_rows_ask_for_what_their_views_ask_for() -> None:
    views = dict(paths())
    asked = {}
    for each in ENDPOINTS:
        view = views[each.path]
        if hasattr(view, "actions"):
            scopes = view.cls.required_scopes[view.actions[each.method.lower()]]
        else:
            scopes = getattr(view, "required_scopes", ())
        if set(scopes) != set(each.scopes):
            asked[str(each)] = scopes

    assert asked == {}


def test_the_written_openapi_document_is_the_generated_one(tmp_path: Any) -> None:
    generated = tmp_path / "openapi.yaml"

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(generated))

    written = settings.BASE_DIR / "docs" / "reference" / "openapi.yaml"
    assert written.read_text() == generated.read_text(), "Write it anew: make schema"


def strict_serializers(parent: type[StrictSerializer] = StrictSerializer) -> Iterator[Any]:
    for each in parent.__subclasses__():
        yield each
        yield from strict_serializers(each)


def test_every_list_that_is_sent_counts_its_items_before_it_looks_at_them() -> None:
    found = {
        f"{each.__name__}.{name}": field
        for each in set(strict_serializers())
        for name, field in each._declared_fields.items()
        if isinstance(field, (ListField, ListSerializer)) and not field.read_only
    }

    unbounded = [
        name
        for name, field in found.items()
        if not isinstance(field, BoundedListField)
        and not (isinstance(field, ListSerializer) and field.max_length)
    ]
    assert found
    assert unbounded == []
