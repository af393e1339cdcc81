"""An MCP server whose tools agents call with a token of their own.

Needs: pip install mcp "pyjwt[crypto]", and in the environment ISSUER, AUDIENCE and ORGANIZATIONS,
as the page of the resource shows them. The SDK tells clients where to get a token (RFC 9728).
"""

import asyncio
import os

import jwt
from agent_tokens import AgentTokens
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
HOST, PORT = os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8000"))


class Verifier:
    """The SDK asks it about each token."""

    def __init__(self) -> None:
        self.tokens = AgentTokens(ISSUER, AUDIENCE, set(os.environ["ORGANIZATIONS"].split()))

    async def verify_token(self, token: str) -> AccessToken | None:
        try:  # in a thread: fetching the keys may wait
            claims = await asyncio.to_thread(self.tokens.claims, token)
        except jwt.PyJWTError:
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims.get("scope", "").split(),
            expires_at=claims["exp"],
            resource=claims["aud"],
        )


server = MCPServer(
    "files",
    token_verifier=Verifier(),
    auth=AuthSettings(
        issuer_url=ISSUER,
        resource_server_url=AUDIENCE,
        required_scopes=["files:read"],
        validate_token_resource=True,
    ),
)


@server.tool()
def who_am_i() -> str:
    """The id of the agent that calls."""
    token = get_access_token()
    return token.client_id if token else ""


if __name__ == "__main__":
    server.run("streamable-http", host=HOST, port=PORT)
