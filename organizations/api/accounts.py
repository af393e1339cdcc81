from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import DomainError
from core.examples import example
from core.handlers import domain_error_response
from core.serializers import StrictSerializer
from organizations import examples
from organizations.actions import request_password_reset


@example(sent=examples.FORGOTTEN_PASSWORD)
class PasswordResetSerializer(StrictSerializer):
    email = serializers.EmailField(
        max_length=254,
        help_text="The account's verified email address.",
    )


@method_decorator([login_not_required, transaction.non_atomic_requests], name="dispatch")
class PasswordResetView(APIView):
    """Public, because a person who forgot the password cannot sign in. The link goes only to the
    address."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(
        tags=["Sessions"],
        request=PasswordResetSerializer,
        responses={202: None},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Mail a password reset link. The response is the same for every address.

        The link opens a page and works once, within an hour. After five mails an hour to one
        address the last link keeps working, and no further one is mailed. After 30 requests an hour
        from one network the response is 429.
        """
        serializer = PasswordResetSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            request_password_reset(request._request, **serializer.validated_data)
        except DomainError as error:
            return domain_error_response(error)  # returned, not raised, so that the count is kept
        return Response(status=202)
