"""FastMCP's token verifiers, alone and on a server whose tool is called."""

import asyncio
import json
import sys
import threading
import urllib.error
import urllib.request

import uvicorn
from fastmcp import Client, FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.introspection import IntrospectionTokenVerifier
from fastmcp.server.auth.providers.jwt import JWTVerifier
from pydantic import AnyHttpUrl

given = json.load(sys.stdin)
resource = given["resource"]
port = int(resource.split(":")[2].partition("/")[0])


def jwt_verifier() -> JWTVerifier:
    return JWTVerifier(
        jwks_uri=given["metadata"]["jwks_uri"],
        issuer=given["url"],
        audience=resource,
        algorithm="ES256",
        ssrf_safe=False,  # the issuer is on this machine
    )


async def check_verifiers() -> None:
    found = await jwt_verifier().verify_token(given["resource_token"])
    assert found is not None and found.client_id == given["client_id"], found
    assert await jwt_verifier().verify_token(given["token"]) is None
    for method in ("client_secret_basic", "client_secret_post"):
        verifier = IntrospectionTokenVerifier(
            introspection_url=given["metadata"]["introspection_endpoint"],
            client_id=given["client_id"],
            client_secret=given["client_secret"],
            client_auth_method=method,
        )
        found = await verifier.verify_token(given["resource_token"])
        assert found is not None and found.client_id == given["client_id"], found
        assert await verifier.verify_token("nonsense") is None


def start_server() -> None:
    server = FastMCP(
        "files",
        auth=RemoteAuthProvider(
            token_verifier=jwt_verifier(),
            authorization_servers=[AnyHttpUrl(given["url"])],
            base_url=resource.removesuffix("/mcp"),
        ),
    )

    @server.tool
    def greet(name: str) -> str:
        return f"Hello, {name}!"

    config = uvicorn.Config(server.http_app(), port=port, log_level="error")
    running = uvicorn.Server(config)
    threading.Thread(target=running.run, daemon=True).start()
    while not running.started:
        pass


async def call_tool() -> None:
    async with Client(resource, auth=given["resource_token"]) as client:
        answer = await client.call_tool("greet", {"name": "agent"})
    assert answer.data == "Hello, agent!", answer


asyncio.run(check_verifiers())
start_server()
try:
    urllib.request.urlopen(urllib.request.Request(resource, b"{}"))
except urllib.error.HTTPError as error:
    assert error.code == 401
    challenge = error.headers["WWW-Authenticate"]
    address = challenge.partition('resource_metadata="')[2].partition('"')[0]
    with urllib.request.urlopen(address) as answer:
        metadata = json.load(answer)
    servers = [each.rstrip("/") for each in metadata["authorization_servers"]]
    assert servers == [given["url"]], metadata
else:
    sys.exit("It took a call without a token.")
asyncio.run(call_tool())
