"""The one session that may migrate a database, and the records that it keeps there."""

import hashlib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from core.migrating.lock import Say, lock
from core.migrating.migrations import MigrationError, connect, plain_errors, table_exists
from core.migrating.steps import MigrationStep

logging.getLogger("yoyo").setLevel(logging.WARNING)

RECORDS = """
CREATE TABLE migracion_texto (
    migracion text        NOT NULL,
    sha256    text        NOT NULL,
    texto     text        NOT NULL,
    registro  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT migracion_texto_pkey PRIMARY KEY (migracion)
);
COMMENT ON TABLE migracion_texto IS 'The text of each applied migration: shows a later edit of its file.';
COMMENT ON COLUMN migracion_texto.migracion IS 'The file''s name without .sql: _yoyo_migration.migration_id.';
COMMENT ON COLUMN migracion_texto.sha256 IS 'SHA-256 of texto in hexadecimal, as sha256sum prints it.';
COMMENT ON COLUMN migracion_texto.texto IS 'The whole file, as it was applied or accepted.';
COMMENT ON COLUMN migracion_texto.registro IS 'When this text was recorded.';
"""
RECORD_TEXT = """
INSERT INTO migracion_texto (migracion, sha256, texto)
VALUES (%s, %s, %s)
ON CONFLICT (migracion) DO UPDATE
   SET sha256 = excluded.sha256, texto = excluded.texto, registro = excluded.registro
"""


class PoolerError(MigrationError):
    """The URL leads to a connection pooler, which may give our lock to somebody else."""

    exit_code = 7


class MigrationRecords(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo has no types
    """yoyo's tables and ours, written on the connection that migrates."""

    connection: psycopg.Connection[Any]

    def connect(self, dburi: DatabaseURI) -> psycopg.Connection[Any]:
        return connect(dburi.args["url"])

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:
        """None of yoyo's own: the advisory lock is held already, and yoyo's row outlives a killed process."""
        yield

    def get_log_data(self, migration: Any, operation: str) -> dict[str, Any]:
        """As yoyo's, but it asks neither DNS nor /etc/passwd while locks are held."""
        return {
            "id": str(uuid4()),
            "migration_id": migration.id,
            "migration_hash": migration.hash,
            "username": self.connection.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    def applied(self, step: MigrationStep) -> None:
        """Record that `step` is applied, in the caller's transaction."""
        self.log_migration(step.migration, "apply")
        self.mark_one(step.migration, log=False)
        self.text(step.name, step.text)

    def undone(self, step: MigrationStep) -> None:
        """Record that `step` is not applied any more, in the caller's transaction."""
        self.log_migration(step.migration, "rollback")
        self.unmark_one(step.migration, log=False)
        self.connection.execute("DELETE FROM migracion_texto WHERE migracion = %s", [step.name])

    def text(self, name: str, text: str) -> None:
        """Record the text of the applied migration `name`."""
        self.connection.execute(RECORD_TEXT, [name, hashlib.sha256(text.encode()).hexdigest(), text])


@contextmanager
def migrating(url: str, say: Say, through_pooler: bool) -> Iterator[MigrationRecords]:
    """Yield the records, on a session that alone migrates this database; wait while another one does.

    The advisory lock is held by the very session that does the work, so neither outlives the other: a killed
    process leaves no lock behind, nor is it free while its last statement still runs. Raises MigrationError.
    """
    uri = DatabaseURI("postgresql+psycopg", None, None, None, None, None, {"url": url})
    with plain_errors(), MigrationRecords(uri, "_yoyo_migration") as records:
        connection = records.connection
        if not through_pooler:
            _refuse_pooler(connection)
        lock(connection, say)
        if not table_exists(connection, "migracion_texto"):
            connection.execute(RECORDS)
        records.ensure_internal_schema_updated()
        if table_exists(connection, "yoyo_lock"):
            records.break_lock()  # a row that a killed yoyo left behind
        yield records


def _refuse_pooler(connection: psycopg.Connection[Any]) -> None:
    """A server tells each new client which of its processes will answer; a pooler has to invent one."""
    [(answering,)] = connection.execute("SELECT pg_backend_pid()")
    if answering != connection.info.backend_pid:
        raise PoolerError(
            "the URL goes through a connection pooler: set DATABASE_DIRECT_URL to the database's own"
            " (or say --through-pooler, if the pooler keeps one server session per client)"
        )
