"""What people and agents do with organizations; each function is one transaction with its audit."""

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
from organizations.actions.sessions import (
    SignInRefused,
    change_password,
    choose_organization,
    set_person_active,
    sign_in,
    sign_out,
    verify_password,
)

__all__ = [
    "SignInRefused",
    "accept_invitation",
    "add_agent",
    "change_password",
    "change_role",
    "choose_organization",
    "create_organization",
    "delete_organization",
    "find_invitation",
    "invite",
    "reactivate_organization",
    "remove_member",
    "revoke_invitation",
    "set_person_active",
    "sign_in",
    "sign_out",
    "suspend_organization",
    "update_organization",
    "update_plan",
    "verify_password",
]
