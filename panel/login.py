"""/login and /api/login: a key for kodosumi's clients in exchange for a name and a password."""

import re
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.cross_site import is_cross_site
from core.errors import DomainError, Forbidden
from core.examples import example
from core.handlers import domain_error_response
from core.serializers import StrictSerializer
from panel import examples
from tokens.authentication import KEY_COOKIE
from tokens.sessions import KEY_LIFETIME, log_in

MAX_REDIRECT_LENGTH = 2000
PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
"""A path of this site, perhaps with a query. Browsers read a backslash as a slash, and two slashes
as the beginning of another site's address."""


def validate_path(text: str) -> None:
    if not PATH.fullmatch(text):
        raise serializers.ValidationError("Use a path of this site.")


@example(sent=examples.LOG_IN)
class KeyLogInSerializer(StrictSerializer):
    name = serializers.CharField(
        max_length=254, help_text="The account's short name, or its email address."
    )
    password = serializers.CharField(
        max_length=4096, trim_whitespace=False, style={"input_type": "password"}
    )
    redirect = serializers.CharField(
        max_length=MAX_REDIRECT_LENGTH,
        required=False,
        validators=[validate_path],
        help_text="A path of this site. The response then redirects to it.",
    )


@example(examples.KEY)
class KeySerializer(serializers.Serializer[Any]):
    """A key, which is also set as the cookie `kodosumi_jwt`."""

    name = serializers.CharField()
    id = serializers.UUIDField(help_text="Of the person.")
    KODOSUMI_API_KEY = serializers.CharField(
        help_text=(
            "Send it in the header `KODOSUMI_API_KEY`, or as bearer token. It lives for 12 hours "
            "unless its session ends before."
        )
    )


@method_decorator([login_not_required, transaction.non_atomic_requests], name="dispatch")
class KeyLogInView(APIView):
    """Public, because the password is the proof. Each counted failure is committed by itself."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        tags=["Sessions"],
        request=KeyLogInSerializer,
        responses={200: KeySerializer, 302: None},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Sign in as kodosumi's clients do, and get a key and a cookie.

        Programs may also send the fields as a form to `/login`. `POST /api/v1/auth/logout` ends the
        session with its key.
        """
        return self.respond(request, request.data)

    def respond(self, request: Request, fields: Any) -> Response:
        if is_cross_site(request._request):
            raise Forbidden("A page of another site cannot sign people in.")
        serializer = KeyLogInSerializer(data=fields)
        serializer.is_valid(raise_exception=True)
        sent = serializer.validated_data
        target = sent.get("redirect")
        try:
            tokens = log_in(request._request, email=sent["name"], password=sent["password"])
        except DomainError as error:
            return domain_error_response(error)  # returned, not raised, so that the count is kept
        user, key = tokens.membership.user, str(tokens.key)
        body = {"name": user.username or user.email, "id": user.pk, "KODOSUMI_API_KEY": key}
        headers = {"Cache-Control": "no-store"} | ({"Location": target} if target else {})
        response = Response(
            KeySerializer(body).data, status=302 if target else 200, headers=headers
        )
        response.set_cookie(
            KEY_COOKIE,
            key,
            max_age=KEY_LIFETIME,
            httponly=True,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
        return response


class FormLogInView(KeyLogInView):
    """The same with a form. Pages and programs share /login: pages/account/sessions.py decides."""

    parser_classes = (FormParser,)

    def post(self, request: Request) -> Response:
        return self.respond(request, request.POST.dict())

    def get(self, request: Request) -> Response:
        """With parameters of the URL, which logs and histories keep: only in the demonstration."""
        return self.respond(request, request.query_params.dict())


respond_to_form = FormLogInView.as_view()


def is_for_programs(request: HttpRequest) -> bool:
    """Whether kodosumi's fields are sent to /login, not those of the page."""
    if request.method == "POST":
        return "name" in request.POST and "email" not in request.POST
    return settings.IS_DEMO and {"name", "password"} <= request.GET.keys()
