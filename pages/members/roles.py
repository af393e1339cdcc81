"""What people of each role may do, in a sentence for those who choose one and those who get one."""

from organizations.models import Membership

Role = Membership.Role
SENTENCES: dict[str, str] = {
    Role.VIEWER: "reads agents, their requests and figures, and the runs that they launched.",
    Role.OPERATOR: "also sees every run, stops and deletes runs, resolves errors, shares views, "
    "revokes tokens and reads the audit log.",
    Role.ADMIN: "also registers and changes agents, creates and revokes their secrets, manages "
    "members and resources, and changes the settings.",
    Role.OWNER: "also makes and removes owners, and deletes the organization.",
}


def explained(highest: str = Role.OWNER) -> list[tuple[str, str]]:
    """The label and the sentence of each role up to `highest`, those with fewer rights first."""
    known = list(SENTENCES)
    return [(str(Role(role).label), SENTENCES[role]) for role in known[: known.index(highest) + 1]]
