"""Changes to organizations and their members.

Each function is one transaction that includes its audit event.
"""

from organizations.actions.accounts import (
    AddressInUse,
    change_address,
    confirm_address,
    operators_reset_link,
    request_password_reset,
    reset_password,
)
from organizations.actions.invitations import (
    accept_invitation,
    find_invitation,
    invite,
    revoke_invitation,
)
from organizations.actions.members import add_agent, change_role, remove_member
from organizations.actions.organizations import (
    create_organization,
    delete_organization,
    reactivate_organization,
    suspend_organization,
    update_organization,
    update_plan,
)
from organizations.actions.signing_in import (
    SignInRefused,
    change_password,
    choose_organization,
    set_person_active,
    sign_in,
    sign_out,
    verify_password,
)

__all__ = [
    "AddressInUse",
    "SignInRefused",
    "accept_invitation",
    "add_agent",
    "change_address",
    "change_password",
    "change_role",
    "choose_organization",
    "confirm_address",
    "create_organization",
    "delete_organization",
    "find_invitation",
    "invite",
    "operators_reset_link",
    "reactivate_organization",
    "remove_member",
    "request_password_reset",
    "reset_password",
    "revoke_invitation",
    "set_person_active",
    "sign_in",
    "sign_out",
    "suspend_organization",
    "update_organization",
    "update_plan",
    "verify_password",
]
