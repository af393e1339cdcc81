"""The third-party clients that are tested, and their versions. A test compares them with the
table in docs/reference/clients.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """A client: `packages` with their versions, the tested one first, and what they require."""

    program: str
    packages: tuple[str, ...]
    does: str

    @property
    def name(self) -> str:
        return self.packages[0].rpartition("==" if self.is_python else "@")[0]

    @property
    def version(self) -> str:
        return self.packages[0].rpartition("==" if self.is_python else "@")[2]

    @property
    def is_python(self) -> bool:
        return not self.program.endswith(".mjs")


CLIENTS = [
    Client(
        "authlib_client.py",
        ("authlib==1.9.10", "requests==2.34.2"),
        "gets, uses, introspects and revokes tokens, secret in the header or the form",
    ),
    Client(
        "requests_oauthlib_client.py",
        ("requests-oauthlib==2.0.0",),
        "gets, uses and revokes tokens, secret in the header or the form",
    ),
    Client(
        "openid_client.mjs",
        ("openid-client@6.9.0",),
        "discovers by both addresses; gets, uses, introspects and revokes tokens; `resource`",
    ),
    Client(
        "oauth4webapi_client.mjs",
        ("oauth4webapi@3.8.8",),
        "the same, validates a token as its receiver, reads our metadata as a resource",
    ),
    Client(
        "simple_oauth2_client.mjs",
        ("simple-oauth2@5.1.0",),
        "gets and revokes tokens, in all four of its ways to send the secret",
    ),
    Client(
        "pyjwt_client.py",
        ("pyjwt==2.15.1", "cryptography"),
        "verifies by the address of the keys, refuses another receiver's token",
    ),
    Client("joserfc_client.py", ("joserfc==1.8.0",), "verifies by the key set"),
    Client(
        "mcp_client.py",
        ("mcp==2.3.0", "pyjwt[crypto]"),
        "finds us from an MCP server's address, gets its token, calls a tool",
    ),
    Client(
        "mcp_client.mjs",
        ("@modelcontextprotocol/sdk@1.32.2",),
        "the same",
    ),
    Client(
        "fastmcp_client.py",
        ("fastmcp==4.2.3",),
        "JWTVerifier, IntrospectionTokenVerifier, and RemoteAuthProvider before a real server",
    ),
    Client(
        "prometheus_client_parser.py",
        ("prometheus-client==0.26.0",),
        "parses `/metrics`: all typed and described",
    ),
    Client("pandas_client.py", ("pandas==3.1.1",), "reads every CSV file, with types"),
    Client("duckdb_client.py", ("duckdb==2.0.1",), "reads every CSV file, with types"),
    Client(
        "openapi_spec_validator_client.py",
        ("openapi-spec-validator==0.9.0",),
        "finds the OpenAPI document valid",
    ),
    Client(
        "redocly_client.mjs",
        ("@redocly/cli@2.77.0",),
        "finds the OpenAPI document valid, by its recommended rules",
    ),
    Client(
        "openapi_python_client_client.py",
        ("openapi-python-client==0.29.1",),
        "makes a Python client of every operation; one is called",
    ),
    Client(
        "openapi_typescript_client.mjs",
        (
            "openapi-typescript@7.13.0",
            "openapi-fetch@0.17.0",
            "typescript@5.9.3",
            "@types/node@24.10.1",
        ),
        "makes types of every operation; a strict program compiles and runs",
    ),
]
