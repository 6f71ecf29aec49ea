"""Databases for the tests: clones of a migrated template, and each is used again once it is as it was.

Making one costs a third of a second, emptying one a few milliseconds."""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

MOST_BYTES = 1 << 20  # of a database's tables; one that has grown more is not emptied, but dropped
PATIENCE_SECONDS = 10

CATALOGS = """
    pg_attrdef pg_attribute pg_cast pg_collation pg_constraint pg_default_acl pg_description pg_event_trigger
    pg_extension pg_index pg_inherits pg_policy pg_proc pg_publication pg_rewrite pg_statistic pg_statistic_ext
    pg_trigger pg_type
"""

# Each change of a row gives it another xmin; VACUUM and ANALYZE write counts in its place, so these are read too.
SCHEMA = """
SELECT ARRAY[{catalogs}],
       (SELECT sum(xmin::text::bigint + oid::bigint + reltuples::bigint) FROM pg_class),
       (SELECT sum(xmin::text::bigint) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'),
       (SELECT xmin::text::bigint FROM pg_database WHERE datname = current_database()),
       (SELECT sum(xmin::text::bigint) FROM pg_db_role_setting)
""".format(
    catalogs=", ".join(f"(SELECT sum(xmin::text::bigint) FROM {catalog})" for catalog in CATALOGS.split())
)

TABLES = (
    "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
BYTES = """
SELECT sum(pg_table_size(oid))
  FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
RESTART = "SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence"
# Citus' own process is among them, which comes back some seconds later.
END_THEIRS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
END_OTHERS = """
SELECT pg_terminate_backend(pid)
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

CITUS = "SELECT to_regclass('pg_catalog.pg_dist_node') IS NOT NULL"

_numbers = itertools.count(1)


class Clones:
    """Databases made from one template, of which those that nobody uses are kept for the next test."""

    def __init__(self, server: str, template: str) -> None:
        self._server, self._template = server, template
        self._free: list[str] = []
        self._new: dict[
            str, tuple[Any, Any]
        ] = {}  # the schema of each as it was made, and its migrations' rows
        with psycopg.connect(database_url(server, template), autocommit=True) as connection:
            self._citus = _one(connection, CITUS)
            tables = [name for (name,) in connection.execute(TABLES)]
            self._filled = [name for name in tables if connection.execute(f"SELECT 1 FROM {name}").fetchone()]
        self._emptied = sorted(set(tables) - set(self._filled))

    @contextmanager
    def url(self) -> Iterator[str]:
        """The URL of a migrated and empty database of one's own."""
        name = self._free.pop() if self._free else self._make()
        try:
            yield database_url(self._server, name)
        finally:
            if self._is_restored(name):
                self._free.append(name)
            else:
                drop(self._server, name)

    def close(self) -> None:
        while self._free:
            drop(self._server, self._free.pop())

    def _make(self) -> str:
        name = create(self._server, "test", template=self._template)
        with psycopg.connect(database_url(self._server, name), autocommit=True) as connection:
            self._new[name] = self._schema(connection), self._rows(connection)
        return name

    def _is_restored(self, name: str) -> bool:
        """Empties a database; False where it has become another, or is one of Citus, which takes longer to empty."""
        if self._citus:
            return False
        with psycopg.connect(database_url(self._server, name), autocommit=True) as connection:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while connection.execute(END_OTHERS).fetchone():
                assert time.monotonic() < deadline, "a connection does not end"
                time.sleep(0.001)
            schema, rows = self._new[name]
            if self._schema(connection) != schema or self._rows(connection) != rows:
                return False
            if _one(connection, BYTES) > MOST_BYTES:
                return False
            deletes = [f"DELETE FROM {table}" for table in self._emptied]
            connection.execute("; ".join(["SET session_replication_role = replica", *deletes, RESTART]))
        return True

    def _schema(self, connection: psycopg.Connection) -> object:
        return connection.execute(SCHEMA).fetchone()

    def _rows(self, connection: psycopg.Connection) -> object:
        query = "SELECT count(*), sum(xmin::text::bigint) FROM {}"
        return [connection.execute(query.format(table)).fetchone() for table in self._filled]


def _one(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row
    return row[0]


def create(server: str, kind: str, template: str | None = None) -> str:
    """The name of a new database."""
    name = f"{kind}_{os.getpid()}_{next(_numbers)}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(END_THEIRS, [template])
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template or "template1")))
    return name


def drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def new_database(server: str, kind: str, template: str | None = None) -> Iterator[str]:
    """The name of a database that is dropped at the end of the block."""
    name = create(server, kind, template)
    try:
        yield name
    finally:
        drop(server, name)


def database_url(server: str, name: str) -> str:
    return urlsplit(server)._replace(path=f"/{name}").geturl()
