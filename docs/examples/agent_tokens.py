"""Check AgentIdP's tokens in your own service. Needs: pip install "pyjwt[crypto]"."""

from typing import Any

import jwt


class AgentTokens:
    """Tokens of one issuer for one service.

    `audience` is the identifier under which the service is registered. `organizations` are the ids
    (`org-…`) of those whose agents are let in: another organization of the same deployment may
    have registered the same address.
    """

    def __init__(self, issuer: str, audience: str, organizations: set[str]) -> None:
        self.issuer, self.audience, self.organizations = issuer, audience, organizations
        self.keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=300)

    def claims(self, token: str) -> dict[str, Any]:
        """What a good token says; jwt.PyJWTError for any other one."""
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("This is no access token.")
        claims: dict[str, Any] = jwt.decode(
            token,
            self.keys.get_signing_key_from_jwt(token),
            algorithms=["ES256", "RS256"],
            issuer=self.issuer,
            audience=self.audience,
            leeway=30,  # seconds that the two clocks may differ
            options={"strict_aud": True, "require": ["exp", "iat", "iss", "aud", "sub"]},
        )
        if claims.get("organization_id") not in self.organizations:
            raise jwt.InvalidTokenError("The organization is not let in.")
        return claims
