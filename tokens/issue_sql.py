"""The token endpoint's statements, executed directly by libpq.

A psycopg cursor costs 80 microseconds of CPU time per statement, this 15, which matters at the
token endpoint (docs/explanation/performance.md). All values are passed as text.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.db import Error as DjangoDatabaseError
from django.db import connection
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from core.postgresql.base import replace_if_lost
from core.throttling import (
    ADDRESS_FAILURES,
    FAILURE_LIMITS,
    LOGIN_FAILURES,
    NEW_COUNTERS,
    RECORDED_FAILURES,
    WIDER_FAILURES,
    Guesses,
)

LOCK_WAIT = "100ms"
"""How long requests that others may wait for wait for a lock themselves."""
ISSUE = f"""
    SELECT reason, found_organization, found_credential, array_to_string(granted_scopes, ' '),
           algorithm, floor(extract(epoch FROM issued_at))::bigint, lifetime, generation,
           retry_after, left_out
    FROM tokens_issue($1, $2, string_to_array($3, ' '), $4, $5, $6, $7,
                      ARRAY[$8, $9, $10], ARRAY{FAILURE_LIMITS}, '{LOGIN_FAILURES.span}',
                      $11, {RECORDED_FAILURES.limit}, $12, {NEW_COUNTERS.limit})
"""  # noqa: S608 - no user input
ISSUE_SOON = ISSUE.replace(
    "FROM tokens_issue",
    f"FROM (SELECT set_config('lock_timeout', '{LOCK_WAIT}', true) AS is_set OFFSET 0) first, "
    "LATERAL tokens_issue",
)
ISSUE_BATCH = f"""
    SELECT NULL, found_organization, found_credential, granted_scopes, algorithm, issued_at,
           lifetime, generation, place
    FROM tokens_issue_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, {ADDRESS_FAILURES.limit},
                            '{LOGIN_FAILURES.span}', '{LOCK_WAIT}', $10,
                            {WIDER_FAILURES.limit})
"""  # noqa: S608 - no user input
NO_ADDRESS = str(UUID(int=0))
prepared: "WeakKeyDictionary[psycopg.Connection, set[bytes]]" = WeakKeyDictionary()
"""The statements that each connection has prepared."""


class Question(NamedTuple):
    """A token request, as far as the database is concerned."""

    client_id: UUID
    mac: bytes
    """Of the given secret."""
    scope: str | None
    event_id: UUID
    token_id: UUID
    ip_address: str | None
    resource: str | None
    guesses: Guesses

    def values(self) -> list[str | None]:
        own = (self.client_id, f"\\x{self.mac.hex()}", self.scope, self.event_id, self.token_id)
        texts = [None if value is None else str(value) for value in own]
        keys = (*self.guesses.keys, self.guesses.wider or None)
        return [*texts, self.ip_address, self.resource, *keys]


class Issue(NamedTuple):
    """The database's verdict. Times are in seconds since 1970."""

    reason: str | None
    organization_id: UUID
    credential_id: UUID | None
    scope: str
    algorithm: str
    issued_at: int
    lifetime: int | None
    """In seconds, if the resource has its own."""
    generation: int = 0
    """Of the agent and its organization, which the token names."""
    retry_after: int = 0
    left_out: int | None = None
    """How many refusals were not recorded before; None if this one is not to be recorded either."""


def call_issue(question: Question, *, is_soon: bool = False) -> Issue:
    """Call tokens_issue(). Outside of a transaction, its row is durable afterwards.

    With `is_soon` it raises OperationalError when it would have to wait longer than LOCK_WAIT.
    """
    values = [*question.values(), question.guesses.bucket, question.guesses.room]
    statement = (b"issue_soon", ISSUE_SOON) if is_soon else (b"issue", ISSUE)
    result = _execute(*statement, values)
    retry_after, left_out = _text(result, 0, 8), _text(result, 0, 9)
    return _issue(result, 0)._replace(
        retry_after=int(retry_after or 0), left_out=None if left_out is None else int(left_out)
    )


def call_issue_batch(questions: Sequence[Question]) -> list[Issue | None]:
    """Call tokens_issue_batch(): one commit for all that it grants; None for each that it left.

    Call it outside of a transaction.
    """
    columns = zip(*(each.values() for each in questions), strict=True)
    result = _execute(b"issue_batch", ISSUE_BATCH, [_array(column) for column in columns])
    granted: list[Issue | None] = [None] * len(questions)
    for row in range(result.ntuples):
        granted[int(_text(result, row, 8) or 0) - 1] = _issue(result, row)
    return granted


def was_reported(error: DjangoDatabaseError) -> bool:
    """Whether PostgreSQL itself reported the error, so that nothing can have been committed.

    If the connection was lost instead, that is not known.
    """
    return getattr(error.__cause__, "sqlstate", None) is not None


def _execute(name: bytes, statement: str, values: Sequence[str | None]) -> PGresult:
    replace_if_lost(connection)
    connection.ensure_connection()
    raw: psycopg.Connection = connection.connection
    encoded = [None if value is None else value.encode() for value in values]
    with connection.wrap_database_errors:
        if not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE:
            _require(raw, raw.pgconn.exec_(b"BEGIN"), ExecStatus.COMMAND_OK)  # as a cursor does
        known = prepared.setdefault(raw, set())
        if name not in known:
            _require(raw, raw.pgconn.prepare(name, statement.encode()), ExecStatus.COMMAND_OK)
            known.add(name)
        result = raw.pgconn.exec_prepared(name, encoded)  # type: ignore[arg-type]
        _require(raw, result, ExecStatus.TUPLES_OK)
    return result


def _require(raw: psycopg.Connection, result: PGresult, status: ExecStatus) -> None:
    if raw.pgconn.status != ConnStatus.OK:
        raise psycopg.OperationalError("The connection to the database is lost.")
    if result.status != status:
        raise error_from_result(result)


def _issue(result: PGresult, row: int) -> Issue:
    reason, organization, credential, scope, algorithm, issued_at, lifetime, generation = (
        _text(result, row, column) for column in range(8)
    )
    return Issue(
        reason,
        UUID(organization or NO_ADDRESS),
        UUID(credential) if credential else None,
        scope or "",
        algorithm or "",
        int(issued_at or 0),
        int(lifetime) if lifetime else None,
        int(generation or 0),
    )


def _text(result: PGresult, row: int, column: int) -> str | None:
    value = result.get_value(row, column)
    return None if value is None else value.decode()


def _array(texts: Sequence[str | None]) -> str:
    """The texts as an array in PostgreSQL's notation."""
    return f"{{{','.join(map(_element, texts))}}}"


def _element(text: str | None) -> str:
    if text is None:
        return "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
