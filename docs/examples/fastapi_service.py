"""A FastAPI service for agents, and the answer for nginx's auth_request.

Needs: pip install fastapi uvicorn "pyjwt[crypto]", and in the environment ISSUER, AUDIENCE and
ORGANIZATIONS, as the page of the resource shows them. Run: uvicorn fastapi_service:app
"""

import os
from collections.abc import Callable
from typing import Annotated, Any

import jwt
from agent_tokens import AgentTokens
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

tokens = AgentTokens(
    os.environ["ISSUER"], os.environ["AUDIENCE"], set(os.environ["ORGANIZATIONS"].split())
)
app = FastAPI()
Header = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def caller(header: Header) -> dict[str, Any]:
    """The claims of the agent that calls. Not `async`: fetching the keys may wait."""
    if header is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    try:
        return tokens.claims(header.credentials)
    except jwt.PyJWTError:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise HTTPException(401, headers=challenge) from None


Caller = Annotated[dict[str, Any], Depends(caller)]


def needs(scope: str) -> Callable[[dict[str, Any]], None]:
    """A dependency that lets in tokens with the scope."""

    def check(claims: Caller) -> None:
        if scope not in claims.get("scope", "").split():
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise HTTPException(403, headers={"WWW-Authenticate": challenge})

    return check


@app.get("/files", dependencies=[Depends(needs("files:read"))])
def files(claims: Caller) -> dict[str, Any]:
    return {"files": [], "agent": claims["client_id"]}


@app.post("/files", dependencies=[Depends(needs("files:write"))])
def store(claims: Caller) -> dict[str, Any]:
    return {"stored": True}


@app.get("/verify", status_code=204)
def verify(claims: Caller, response: Response) -> None:
    """For nginx: whether the token is good, and whose it is."""
    response.headers["X-Agent"] = claims["client_id"]
    response.headers["X-Scope"] = claims.get("scope", "")
