"""Models of credentials, resources, signing keys, token requests and revocations."""

from tokens.models.credential import (
    HINT_LENGTH,
    IS_USABLE,
    MAX_CREDENTIAL_NAME,
    SECRET_PREFIX,
    Credential,
    CredentialAlreadyRevoked,
    CredentialExpired,
    CredentialQuerySet,
    OldSecret,
    make_client_secret,
    secret_mac,
)
from tokens.models.event import MonthlyUsage, Revocation, TokenEvent
from tokens.models.key import KnownSecret, SigningKey
from tokens.models.resource import (
    MAX_IDENTIFIER_LENGTH,
    MAX_SCOPE_LENGTH,
    MAX_TOKEN_LIFETIME,
    MIN_TOKEN_LIFETIME,
    Resource,
    ResourceGrant,
)
from tokens.models.session import MAX_SESSION, LoginSession, LoginSessionQuerySet

__all__ = [
    "HINT_LENGTH",
    "IS_USABLE",
    "MAX_CREDENTIAL_NAME",
    "MAX_IDENTIFIER_LENGTH",
    "MAX_SCOPE_LENGTH",
    "MAX_SESSION",
    "MAX_TOKEN_LIFETIME",
    "MIN_TOKEN_LIFETIME",
    "SECRET_PREFIX",
    "Credential",
    "CredentialAlreadyRevoked",
    "CredentialExpired",
    "CredentialQuerySet",
    "KnownSecret",
    "LoginSession",
    "LoginSessionQuerySet",
    "MonthlyUsage",
    "OldSecret",
    "Resource",
    "ResourceGrant",
    "Revocation",
    "SigningKey",
    "TokenEvent",
    "make_client_secret",
    "secret_mac",
]
