"""The names of files in the storage, which say what database made them.

A storage may have files of several databases: of one and its copy for staging, or of one before and
after it was recovered to an earlier moment. That a database has no row for a file says that nobody
needs it only if this database made the file, and has all rows that it ever committed.
"""

from uuid import UUID

from django.db import connection

# A copy on another server or of a data folder, a promoted standby and a recovery have another start
# of their server, a copy on the same server has another database, and a table that was restored in
# place has other storage. So has one that was rewritten, and a server that was just restarted:
# what they made before then is no longer known as theirs.
MAKER = """
    SELECT left(md5(concat_ws('/',
        extract(epoch FROM pg_postmaster_start_time()),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        pg_relation_filenode('executions_executionfile'::regclass)
    )), 16)
"""


def folder_of(organization_id: UUID, execution_id: UUID) -> str:
    """The folder of an execution's files in the storage."""
    return f"executions/{organization_id}/{execution_id}"


def name_of(organization_id: UUID, execution_id: UUID, key: UUID) -> str:
    """The name of a file to be saved, whose row is committed by this database or not at all."""
    return f"{folder_of(organization_id, execution_id)}/{maker()}-{key}"


def maker() -> str:
    """The mark of this database in the names that it makes, until its server starts again."""
    with connection.cursor() as cursor:
        cursor.execute(MAKER)
        found: str = cursor.fetchone()[0]
        return found


def is_made_by(mark: str, name: str) -> bool:
    return name.rpartition("/")[2].startswith(f"{mark}-")
