"""How many groups of errors an organization may have.

Each group costs the pages that list all of them, and rows of the rollup. An engine that invents
words could make as many as it reports errors.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connection

from executions.errors import FINGERPRINT_VERSION
from executions.models import ExecutionError

MAX_GROUPS = 5_000
OTHERS = f"{FINGERPRINT_VERSION}{'0' * 32}"
"""The fingerprint of errors for which there is no group of their own left."""

# Groups whose errors are not added up yet count as well, so that one large report is not free.
WITHOUT_ROOM = """
    WITH wanted AS (
        SELECT fingerprint, row_number() OVER () AS place
        FROM unnest(%(fingerprints)s::text[]) AS given (fingerprint)
        WHERE NOT EXISTS (
            SELECT FROM executions_executionerror AS known
            WHERE known.organization_id = %(organization)s
            AND known.fingerprint = given.fingerprint
        )
    )
    SELECT fingerprint FROM wanted WHERE place + (
        SELECT count(*) FROM (
            SELECT FROM executions_errorcount WHERE organization_id = %(organization)s
            AND seconds = 0 AND property = 'all' LIMIT %(most)s
        ) AS counted
    ) + (
        SELECT count(*) FROM (
            SELECT FROM executions_errorchange WHERE organization_id = %(organization)s
            GROUP BY fingerprint HAVING sum(errors) > 0
        ) AS changed
    ) > %(most)s
"""


def limit_groups(organization_id: UUID, errors: Iterable[ExecutionError]) -> None:
    """Put new kinds of errors into the group of the others, once the organization has MAX_GROUPS.

    Call it before the errors are saved, in the organization's scope.
    """
    errors = list(errors)
    if not errors:
        return
    parameters: dict[str, Any] = {
        "organization": organization_id,
        "fingerprints": sorted({error.fingerprint for error in errors}),
        "most": MAX_GROUPS,
    }
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_ROOM, parameters)
        beyond = {fingerprint for (fingerprint,) in cursor.fetchall()}
    for error in errors:
        if error.fingerprint in beyond:
            error.fingerprint = OTHERS
