"""One migration at work, forth or back: patient with locks, safe to interrupt, recorded with its effect."""

import re
import time
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable, UniqueViolation

from core.migrating.lock import Say
from core.migrating.migrations import LockNotGrantedError, MigrationError, one_line
from core.migrating.session import MigrationRecords
from core.migrating.steps import MigrationStep

# By the third one the server notices that this process was killed, and gives up its statement; the last one is for a
# cluster, where one transaction may change a copied table and then shards only if it goes from shard to shard.
SETTINGS = """
RESET ALL;
SET lock_timeout = '{lock_timeout}';
SET client_connection_check_interval = '1s';
SET citus.multi_shard_modify_mode = 'sequential'
"""
INVALID_INDEXES = """
SELECT n.nspname, c.relname
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND pg_table_is_visible(c.oid)
"""


def run(
    step: MigrationStep, records: MigrationRecords, say: Say, *, attempts: int, undo: bool = False
) -> None:
    """Apply or undo `step` with its record; again after a growing pause while its locks are not granted.

    A transactional step and its record are one transaction. Another kind runs statement by statement and is
    recorded at its end: whatever interrupts it, the next run starts it afresh. Raises MigrationError.
    """
    start = time.monotonic()
    say(f"{step.name}: {'undo' if undo else 'apply'}")
    for attempt in range(1, attempts + 1):
        try:
            _run(step, records, say, undo)
        except (LockNotAvailable, DeadlockDetected) as error:
            why = f"{step.name}: {one_line(error)}"
            if attempt == attempts:
                raise LockNotGrantedError(f"{why}; gave up after {attempts} attempts") from error
            pause = min(30, 0.5 * 2 ** (attempt - 1))
            say(f"{why}; attempt {attempt + 1} of {attempts} in {pause:g} s")
            time.sleep(pause)
        else:
            say(f"{step.name}: done in {time.monotonic() - start:.2f} s")
            return


def _run(step: MigrationStep, records: MigrationRecords, say: Say, undo: bool) -> None:
    connection = records.connection
    statements, record = (step.undo, records.undone) if undo else (step.statements, records.applied)
    connection.execute(SETTINGS.format(lock_timeout="1s" if step.transactional else "0"))
    if step.transactional:
        with connection.transaction():
            _execute(step, statements, connection)
            record(step)
    else:
        _drop_invalid_indexes(step, connection, say)
        _execute(step, statements, connection)
        with connection.transaction():
            record(step)


def _execute(step: MigrationStep, statements: list[str], connection: psycopg.Connection[Any]) -> None:
    for number, statement in enumerate(statements, 1):
        try:
            connection.execute(statement)
        except (LockNotAvailable, DeadlockDetected):
            raise
        except psycopg.Error as error:
            remains = "nothing of it was kept" if step.transactional else "what came before it was kept"
            where = f"{step.name}: statement {number} of {len(statements)}"
            detail = f" ({error.diag.message_detail})" if isinstance(error, UniqueViolation) else ""
            raise MigrationError(f"{where}: {one_line(error)}{detail}; {remains}") from error


def _drop_invalid_indexes(step: MigrationStep, connection: psycopg.Connection[Any], say: Say) -> None:
    """Drops what an interrupted CREATE INDEX CONCURRENTLY left, which IF NOT EXISTS would take for the index."""
    for schema, index in connection.execute(INVALID_INDEXES).fetchall():
        if re.search(rf"\b{re.escape(index)}\b", step.text):
            say(f"{step.name}: dropping index {index}, which an interrupted run left invalid")
            connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(schema, index)))
