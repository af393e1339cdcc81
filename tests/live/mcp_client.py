"""A Python program with the official MCP package that is given the server's URL, the issuer and
its credentials, and discovers the rest: `python mcp_client.py SERVER ISSUER CLIENT_ID`, with the
secret on standard input. Prints the tool's answer and the token as JSON.
"""

import asyncio
import json
import sys

import httpx2
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client


class Memory:
    """The SDK's storage, in memory."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def main(server: str, issuer: str, client_id: str, secret: str) -> None:
    memory = Memory()
    auth = ClientCredentialsOAuthProvider(
        server_url=server, storage=memory, client_id=client_id, client_secret=secret, issuer=issuer
    )
    async with (
        httpx2.AsyncClient(auth=auth, timeout=30) as http,
        streamable_http_client(server, http_client=http) as (reader, writer),
        ClientSession(reader, writer) as session,
    ):
        await session.initialize()
        answer = await session.call_tool("who_am_i", {})
    found = {
        "answer": answer.content[0].text,
        "token": memory.tokens.access_token,
        "scope": memory.tokens.scope,
    }
    sys.stdout.write(json.dumps(found))


asyncio.run(main(*sys.argv[1:4], sys.stdin.read()))
