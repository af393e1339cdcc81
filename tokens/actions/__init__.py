"""Changes to tokens and credentials."""

from tokens.actions.credentials import (
    MAX_CREDENTIALS,
    MAX_GRACE,
    MAX_OLD_SECRETS,
    OLD_SECRETS,
    TooManyCredentials,
    TooManyOldSecrets,
    create_credential,
    end_old_secrets,
    register_with_credential,
    rename_credential,
    require_may_manage,
    revoke_credential,
    rotate_credential,
)
from tokens.actions.existing_tokens import NotYourToken, introspect_token, revoke_token
from tokens.actions.issue import IS_AUTHENTICATED, IssuedToken, Refusal, issue_token, refuse_client

__all__ = [
    "IS_AUTHENTICATED",
    "MAX_CREDENTIALS",
    "MAX_GRACE",
    "MAX_OLD_SECRETS",
    "OLD_SECRETS",
    "IssuedToken",
    "NotYourToken",
    "Refusal",
    "TooManyCredentials",
    "TooManyOldSecrets",
    "create_credential",
    "end_old_secrets",
    "introspect_token",
    "issue_token",
    "refuse_client",
    "register_with_credential",
    "rename_credential",
    "require_may_manage",
    "revoke_credential",
    "revoke_token",
    "rotate_credential",
]
