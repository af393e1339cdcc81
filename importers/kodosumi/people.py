"""The users of a kodosumi deployment as users of the organization's executions."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from core.text import comparable, normalized
from executions.models import DeletedExecution, Execution, ExecutionUser
from importers.kodosumi.databases import Role
from importers.kodosumi.folders import ExecutionFolder, printable, user_id_of
from organizations.models import Membership, Organization
from organizations.tenancy.scope import organization_scope


class People:
    """Finds or creates users by the names of their folders; never creates accounts."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._by_folder: dict[str, ExecutionUser] = {}

    def get(self, folder: str) -> ExecutionUser | None:
        return self._by_folder.get(folder)

    def have(self, execution: Execution, folder: ExecutionFolder) -> bool:
        """Whether the execution was imported from this user's folder."""
        user = self.get(folder.user)
        is_imported = execution.source == Execution.Source.KODOSUMI
        return is_imported and user is not None and execution.user_id == user.pk

    def deleted(self, folders: Iterable[ExecutionFolder]) -> dict[ExecutionFolder, bool]:
        """The folders whose fids belong to executions that were deleted here, each with whether
        that execution was imported from this user's folder.

        Runs inside the organization's scope.
        """
        wanted = list(folders)
        tombstones = DeletedExecution.objects.filter(
            organization=self._organization, fid__in=[folder.fid for folder in wanted]
        )
        owners = {gone.fid: gone.user_id if gone.agent_id is None else None for gone in tombstones}
        users = {folder: self.get(folder.user) for folder in wanted if folder.fid in owners}
        return {
            folder: user is not None and owners[folder.fid] == user.pk
            for folder, user in users.items()
        }

    def update(self, roles: Iterable[Role]) -> None:
        """Create users for the roles, each linked to the member with the same email address.

        The address must be verified or come from the organization's own invitation: otherwise a
        member who merely claims an address would get somebody else's executions.
        """
        by_id = {role.id: role for role in roles}
        with organization_scope(self._organization):
            memberships = Membership.objects.filter(organization=self._organization)
            members = {
                comparable(membership.user.email): membership.user
                for membership in memberships.select_related("user")
                if membership.user.is_verified
                or membership.user.created_through_id == self._organization.pk
            }
            known = {user.external_id: user for user in self._users(by_id)}
            new = []
            for role in by_id.values():
                email = normalized(_valid(role.email))
                fields = {
                    "name": normalized(role.name),
                    "email": email,
                    "user": members.get(comparable(email)),
                }
                user = known.get(role.id)
                if user is None:
                    new.append(
                        ExecutionUser(
                            organization=self._organization, external_id=role.id, **fields
                        )
                    )
                elif user.external_id == user.user_id:
                    continue  # A member with their own id, not created by an import.
                elif any(getattr(user, name) != value for name, value in fields.items()):
                    for name, value in fields.items():
                        setattr(user, name, value)
                    user.save(update_fields=list(fields))
            # Another import may be creating them at the same time.
            ExecutionUser.objects.bulk_create(new, ignore_conflicts=True)
        self._by_folder.clear()

    def find(self, folders: Iterable[str]) -> None:
        """Load the users that exist already."""
        missing = {name: user_id_of(name) for name in set(folders) - self._by_folder.keys()}
        if missing:
            with organization_scope(self._organization):
                found = {user.external_id: user for user in self._users(missing.values())}
            self._by_folder |= {name: found[key] for name, key in missing.items() if key in found}

    def make(self, folders: Iterable[str]) -> None:
        """Create a user, named like the folder, for each folder whose owner has no role."""
        for folder in sorted(set(folders) - self._by_folder.keys()):
            with organization_scope(self._organization):
                user, _ = ExecutionUser.objects.get_or_create(
                    organization=self._organization,
                    external_id=user_id_of(folder),
                    defaults={"name": printable(folder)[:150]},
                )
            self._by_folder[folder] = user

    def _users(self, ids: Iterable[object]) -> Iterable[ExecutionUser]:
        return ExecutionUser.objects.filter(
            organization=self._organization, external_id__in=list(ids)
        ).select_related("user")


def _valid(email: str) -> str:
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email
