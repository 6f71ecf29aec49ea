"""How PostgreSQL runs a statement whatever its parameters' values are: its generic plan, and their types."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from core.database.askers import statement as numbered
from sql.catalogue import Statement, statements

WRAPPED = re.compile(r"(?:COPY \((.*)\) TO STDOUT.*|EXPLAIN \(FORMAT JSON\)(.*))", re.DOTALL)
PLANNABLE = re.compile(r"(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
STAGING = re.compile(r"CREATE TEMPORARY TABLE\b")
# Times that are null would leave nothing of a table that is partitioned by time.
VALUES = {"timestamptz": "now()"}
TYPES = """
SELECT replace(parameter_types::text, 'timestamp with time zone', 'timestamptz')::text[]
  FROM pg_prepared_statements
 WHERE name = 'planned'
"""


class Planner:
    """Plans statements on a connection that forces generic plans; runs none of them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def types(self, statement: Statement) -> dict[str, str]:
        """The type of each parameter, by its name."""
        with self._prepared(statement) as types:
            return types

    def text(self, statement: Statement) -> str:
        """The generic plan as EXPLAIN prints it; empty when there is nothing to plan."""
        return "\n".join(line for (line,) in self._explain(statement, "COSTS"))

    def tree(self, statement: Statement) -> dict[str, Any]:
        """The generic plan's root node (EXPLAIN's JSON); empty when there is nothing to plan."""
        rows = self._explain(statement, "FORMAT JSON, VERBOSE")
        return cast(dict[str, Any], rows[0][0][0]["Plan"]) if rows else {}

    def _explain(self, statement: Statement, options: str) -> list[tuple[Any, ...]]:
        with self._prepared(statement) as types:
            if query_of(statement) is None:
                return []
            values = ", ".join(VALUES.get(type_, "NULL") for type_ in types.values())
            arguments = f"({values})" if values else ""
            return self._execute(f"EXPLAIN ({options}) EXECUTE planned {arguments}").fetchall()

    @contextmanager
    def _prepared(self, statement: Statement) -> Iterator[dict[str, str]]:
        query = query_of(statement)
        if query is None:
            yield {}
            return
        written = numbered(query)
        self._execute(f"PREPARE planned AS {written.sql.decode()}")
        try:
            with self.connection.transaction():
                [(types,)] = self._execute(TYPES).fetchall()
                yield dict(zip(written.names, types, strict=True))
        finally:
            self._execute("DEALLOCATE planned")

    def _execute(self, query: str) -> psycopg.Cursor[Any]:
        return self.connection.execute(query)


@contextmanager
def planning(url: str) -> Iterator[Planner]:
    """A planner on the database at `url`, where it leaves nothing behind."""
    # psycopg must prepare nothing: after a rollback it would deallocate what we prepare, too.
    with psycopg.connect(url, prepare_threshold=None) as connection:
        connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        for statement in statements():
            if STAGING.match(statement.body):
                connection.execute(statement.body)
        yield Planner(connection)
        connection.rollback()


def query_of(statement: Statement) -> str | None:
    """What of a statement is planned: all of it, the query within a COPY or EXPLAIN, or nothing."""
    if wrapped := WRAPPED.fullmatch(statement.body):
        return wrapped[1] or wrapped[2]
    return statement.body if PLANNABLE.match(statement.body) else None
