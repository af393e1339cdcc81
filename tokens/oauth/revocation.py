"""Token revocation (RFC 7009)."""

from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core.examples import example_response
from tokens.actions import revoke_token
from tokens.oauth.errors import NO_STORE
from tokens.oauth.presented_tokens import PresentedTokenViewSet, read_token, wanted_token
from tokens.serializers import OAuthErrorSerializer, TokenFormSerializer


@extend_schema(tags=["Tokens"])
class RevocationViewSet(PresentedTokenViewSet):
    required_scopes = {"revoke": ("tokens:read",)}

    @extend_schema(
        request={"application/x-www-form-urlencoded": TokenFormSerializer},
        responses={
            200: example_response(OpenApiTypes.OBJECT, {}),
            (400, "application/json"): OAuthErrorSerializer,
        },
    )
    def revoke(self, request: Request) -> Response:
        """Revoke a token. The response does not reveal whether it existed.

        A live token of another client in the organization is refused (`unauthorized_client`). The
        body is an empty object: RFC 7009 lets clients ignore it, and some require JSON.
        """
        token = read_token(wanted_token(request))
        if token is not None:
            revoke_token(token, actor=self.actor)
        return Response({}, headers=NO_STORE)
