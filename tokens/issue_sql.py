"""The token endpoint's one statement, executed directly by libpq.

A psycopg cursor costs 80 microseconds of CPU time per statement, this 15, which matters at the
token endpoint (docs/explanation/performance.md). All values are passed as text.
"""

from typing import NamedTuple
from uuid import UUID
from weakref import WeakSet

import psycopg
from django.db import connection
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from core.throttling import FAILURE_LIMITS, LOGIN_FAILURES, RECORDED_FAILURES, Guesses

NAME = b"tokens_issue"
ISSUE = f"""
    SELECT reason, found_organization, found_credential, array_to_string(granted_scopes, ' '),
           algorithm, floor(extract(epoch FROM issued_at))::bigint, retry_after, lifetime, left_out
    FROM tokens_issue($1, $2, string_to_array($3, ' '), $4, $5, $6, $7,
                      ARRAY[$8, $9], ARRAY{FAILURE_LIMITS}, '{LOGIN_FAILURES.span}',
                      $10, {RECORDED_FAILURES.limit})
"""  # noqa: S608 - numbers of our own
NO_ADDRESS = str(UUID(int=0))
prepared: "WeakSet[psycopg.Connection]" = WeakSet()
"""The connections that have prepared the statement."""


class Issue(NamedTuple):
    """The result of the SQL function tokens_issue. Times are in seconds since 1970."""

    reason: str | None
    organization_id: UUID
    credential_id: UUID | None
    scope: str
    algorithm: str
    issued_at: int
    retry_after: int
    lifetime: int | None
    """In seconds, if the resource has its own."""
    left_out: int | None
    """How many refusals were not recorded before; None if this one is not to be recorded either."""


def call_issue(
    client_id: UUID,
    mac: bytes,
    scope: str | None,
    event_id: UUID,
    token_id: UUID,
    ip_address: str | None,
    resource: str | None,
    guesses: Guesses,
) -> Issue:
    """Call tokens_issue(). Outside of a transaction, its row is durable afterwards."""
    connection.ensure_connection()
    raw: psycopg.Connection = connection.connection
    texts = [str(client_id), f"\\x{mac.hex()}", scope, str(event_id), str(token_id), ip_address]
    texts += [resource, *guesses.keys, guesses.bucket]
    values = [None if text is None else text.encode() for text in texts]
    with connection.wrap_database_errors:
        if not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE:
            _require(raw, raw.pgconn.exec_(b"BEGIN"), ExecStatus.COMMAND_OK)  # as a cursor does
        if raw not in prepared:
            _require(raw, raw.pgconn.prepare(NAME, ISSUE.encode()), ExecStatus.COMMAND_OK)
            prepared.add(raw)
        result = raw.pgconn.exec_prepared(NAME, values)  # type: ignore[arg-type]
        _require(raw, result, ExecStatus.TUPLES_OK)
    row = [result.get_value(0, column) for column in range(9)]
    texts = [None if value is None else value.decode() for value in row]
    reason, organization, credential, granted, algorithm, issued_at = texts[:6]
    retry_after, lifetime, left_out = texts[6:]
    return Issue(
        reason,
        UUID(organization or NO_ADDRESS),
        UUID(credential) if credential else None,
        granted or "",
        algorithm or "",
        int(issued_at or 0),
        int(retry_after or 0),
        int(lifetime) if lifetime else None,
        None if left_out is None else int(left_out),
    )


def _require(raw: psycopg.Connection, result: PGresult, status: ExecStatus) -> None:
    if raw.pgconn.status != ConnStatus.OK:
        raise psycopg.OperationalError("The connection to the database is lost.")
    if result.status != status:
        raise error_from_result(result)
