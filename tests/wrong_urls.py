"""Views for test_canaries.py that are each wrong in one way on purpose."""

import json
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agentidp.urls import urlpatterns as right_urlpatterns
from agents.models import Agent
from core.errors import Forbidden, NotFound
from organizations.api.viewsets import OrganizationScopedViewSet
from organizations.models import Organization, Principal
from organizations.tenancy.scope import organization_scope


def agent_of_anybody(key: Any) -> Agent | None:
    principal = Principal.objects.filter(pk=key).first()
    if principal is None:
        return None
    with organization_scope(principal.organization_id):
        found: Agent = Agent.objects.get(pk=key)
        return found


class OpenView(APIView):
    """Requires no authentication and shows everybody's rows."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request, agentId: Any) -> Response:
        found = agent_of_anybody(agentId)
        if found is None:
            raise NotFound
        return Response({"owner": found.owner})


class SignatureOnlyView(APIView):
    """Does not check whether the token is still valid."""

    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response({"token": str(request.auth)}, status=200 if request.auth else 401)


class WrongViewSet(OrganizationScopedViewSet):
    """Each action is wrong in the way that its name says."""

    queryset = Agent.objects.all()
    required_scopes = {
        "crash": ("agents:read",),
        "careless_query": ("agents:read",),
        "without_scope": (),
        "slow_list": ("agents:read",),
        "everybody": ("agents:read",),
        "oracle": ("agents:read",),
        "talkative": ("agents:read",),
        "silent": ("agents:read",),
        "header": ("agents:read",),
        "reference": ("agents:read",),
        "careless": ("agents:read",),
        "text_id": ("agents:read",),
    }

    def crash(self, request: Request) -> HttpResponse:
        return HttpResponse("{}", status=500, content_type="application/json")

    def known_parameters(self) -> set[str]:
        return set(self.request.query_params)

    def careless_query(self, request: Request) -> HttpResponse:
        is_bad = bool(request.query_params)
        return HttpResponse("{}", status=500 if is_bad else 200, content_type="application/json")

    def without_scope(self, request: Request) -> Response:
        return Response({})

    def slow_list(self, request: Request) -> Response:
        keys = self.get_queryset().values_list("pk", flat=True)
        return Response({"data": [Agent.objects.get(pk=key).owner for key in keys]})

    def everybody(self, request: Request) -> Response:
        owners = [
            found.owner for key in Principal.objects.all() if (found := agent_of_anybody(key.pk))
        ]
        return Response({"data": owners, "total": len(owners)})

    def oracle(self, request: Request, agentId: Any) -> Response:
        if agent_of_anybody(agentId) and not self.get_queryset().filter(pk=agentId).exists():
            raise Forbidden
        raise NotFound

    def talkative(self, request: Request, agentId: Any) -> Response:
        raise NotFound(f"There is no agent {agentId}.")

    def silent(self, request: Request, agentId: Any) -> Response:
        found = agent_of_anybody(agentId)
        if found is not None:
            with organization_scope(found.organization_id):
                Agent.objects.filter(pk=agentId).update(owner="mallory")
        return Response({"code": "NOT_FOUND", "message": "Unknown."}, status=404)

    def header(self, request: Request) -> Response:
        named = Organization.parse_public_id(request.headers.get("X-Organization-Id", ""))
        with organization_scope(named or self.organization.pk):
            return Response({"owners": list(Agent.objects.values_list("owner", flat=True))})

    def reference(self, request: Request) -> Response:
        found = agent_of_anybody(request.data["agentId"])
        return Response({"owner": found.owner if found else None})

    def careless(self, request: Request) -> Response:
        try:
            json.loads(request._request.body)
        except (ValueError, RecursionError):
            return Response({"code": "x", "message": "x"}, status=500)
        return Response({})

    def text_id(self, request: Request, agentId: str) -> Response:
        if agentId != str(self.get_queryset().first().pk):
            return Response({"code": "x", "message": "x"}, status=500)
        return Response({})


@login_not_required
def open_page(request: HttpRequest, agent_id: Any) -> HttpResponse:
    found = agent_of_anybody(agent_id)
    if found is None:
        raise Http404
    return JsonResponse({"owner": found.owner})


def cached_page(request: HttpRequest, agent_id: Any) -> HttpResponse:
    return HttpResponse("ok", headers={"Cache-Control": "public, max-age=60"})


@csrf_exempt
def unprotected(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


def wrong(address: str, action: str, method: str = "get") -> Any:
    return path(f"api/v1/wrong/{address}", WrongViewSet.as_view({method: action}))


urlpatterns = [
    *right_urlpatterns,
    path("api/v1/wrong/open/<uuid:agentId>", OpenView.as_view()),
    path("api/v1/wrong/signature-only", SignatureOnlyView.as_view()),
    wrong("crash", "crash"),
    wrong("careless-query", "careless_query"),
    wrong("without-scope", "without_scope"),
    wrong("slow-list", "slow_list"),
    wrong("everybody", "everybody"),
    wrong("oracle/<uuid:agentId>", "oracle"),
    wrong("talkative/<uuid:agentId>", "talkative"),
    wrong("silent/<uuid:agentId>", "silent", "post"),
    wrong("header", "header"),
    wrong("reference", "reference", "post"),
    wrong("careless", "careless", "post"),
    wrong("text-id/<str:agentId>", "text_id"),
    path("wrong/open/<uuid:agent_id>", open_page),
    path("wrong/cached/<uuid:agent_id>", cached_page),
    path("wrong/unprotected", unprotected),
]
handler400 = "core.handlers.bad_request"
handler403 = "core.handlers.permission_denied"
handler404 = "core.handlers.not_found"
handler500 = "core.handlers.server_error"
