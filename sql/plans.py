"""How PostgreSQL runs a statement, with the settings of the connection that runs it; and its parameters' types."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from core.database import database
from core.database.askers import statement as numbered
from core.database.database import KEPT_PLANS
from sql.catalogue import PARAMETER, Statement, statements

WRAPPED = re.compile(r"(?:COPY \((.*)\) TO STDOUT.*|EXPLAIN \(FORMAT JSON\)(.*))", re.DOTALL)
PLANNABLE = re.compile(r"(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
ELSEWHERE = re.compile(r"\{name\}|(FROM|JOIN) pg_dist_")
FILTER = re.compile(r"\(%\((\w+)\)s(?:::\w+)? IS NULL OR [^()]*%\(\1\)s(?:::\w+)?\)")
STAGING = re.compile(r"CREATE TEMPORARY TABLE\b")
LANE = KEPT_PLANS
POOL = dict.fromkeys(KEPT_PLANS, "DEFAULT")
# What a common call of the API would send: the first page, no filter, one row.
COMMON = {
    "antes": "timestamptz '9999-12-31'",
    "desde": "timestamptz '0001-01-01'",
    "limit": "101",
    "low": "'ana'",
    "high": "U&'ana\\+10FFFF'",
    "versions": "NULL",
}
OF_TYPE = {
    "bigint": "50000",
    "boolean": "true",
    "bytea": "''",
    "double precision": "1",
    "integer": "1",
    "jsonb": "'{}'",
    "text": "'a'",
    "timestamptz": "now()",
    "uuid": "'00000000-0000-0000-0000-000000000000'",
}
TYPES = """
SELECT replace(parameter_types::text, 'timestamp with time zone', 'timestamptz')::text[]
  FROM pg_prepared_statements
 WHERE name = 'planned'
"""


class Planner:
    """Plans statements as the application's connections do, for common values; runs none of them.

    A lane keeps one plan for all values. The pool's plans are for the values of each call."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def types(self, statement: Statement) -> dict[str, str]:
        """The type of each parameter, by its name."""
        with self._prepared(statement) as types:
            return types

    def text(self, statement: Statement) -> str:
        """The plan as EXPLAIN prints it; empty when there is nothing to plan."""
        return "\n".join(line for (line,) in self._explain(statement, "COSTS"))

    def trees(self, statement: Statement) -> list[dict[str, Any]]:
        """The root nodes (EXPLAIN's JSON) of its plans: the one kept for all values, and the one for common values."""
        kept = self._explain(statement, "FORMAT JSON, VERBOSE", kept=True)
        rows = [*kept, *self._explain(statement, "FORMAT JSON, VERBOSE")]
        return [cast(dict[str, Any], plans[0]["Plan"]) for (plans,) in rows]

    def _explain(self, statement: Statement, options: str, *, kept: bool = False) -> list[tuple[Any, ...]]:
        with self._prepared(statement) as types:
            if query_of(statement) is None:
                return []
            for name, value in (LANE if statement.lane else POOL).items():
                self._execute(f"SET LOCAL {name} = {value}")
            self._execute(database.UNKEPT)
            if kept:
                self._execute("SET LOCAL plan_cache_mode = force_generic_plan")
            filters = _filters(query_of(statement) or "")
            values = ", ".join(
                "NULL" if name in filters else _common(name, type_) for name, type_ in types.items()
            )
            arguments = f"({values})" if values else ""
            return self._execute(f"EXPLAIN ({options}) EXECUTE planned {arguments}").fetchall()

    @contextmanager
    def _prepared(self, statement: Statement) -> Iterator[dict[str, str]]:
        query = query_of(statement)
        if query is None:
            yield {}
            return
        written = numbered(query)
        try:
            with self.connection.transaction(force_rollback=True):
                for staging in statements():
                    if STAGING.match(staging.body):
                        self._execute(staging.body)
                self._execute(f"PREPARE planned AS {written.sql.decode()}")
                [(types,)] = self._execute(TYPES).fetchall()
                yield dict(zip(written.names, types, strict=True))
        finally:
            self._execute("DEALLOCATE ALL")

    def _execute(self, query: str) -> psycopg.Cursor[Any]:
        return self.connection.execute(query)


def _filters(query: str) -> set[str]:
    """The parameters of a query that are no more than filters of a list, which a common call leaves out."""
    needed = set(PARAMETER.findall(FILTER.sub("", query)))
    return set(PARAMETER.findall(query)) - needed


def _common(name: str, type_: str) -> str:
    """A common value of a parameter, as SQL."""
    if type_.endswith("[]"):
        return "NULL" if name == "versions" else f"ARRAY[{_common(name, type_[:-2])}]::{type_}"
    if name == "before" and type_ == "timestamptz":
        return COMMON["antes"]
    return COMMON.get(name, OF_TYPE.get(type_, "NULL"))


@contextmanager
def planning(url: str) -> Iterator[Planner]:
    """A planner on the database at `url`, where it leaves nothing behind."""
    # psycopg must prepare nothing: after a rollback it would deallocate what we prepare, too.
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        yield Planner(connection)


def query_of(statement: Statement) -> str | None:
    """What of a statement is planned: all of it, the query within a COPY or EXPLAIN, or nothing.

    Nothing of what names its table only when it runs, or reads the tables of Citus."""
    if wrapped := WRAPPED.fullmatch(statement.body):
        return wrapped[1] or wrapped[2]
    return (
        statement.body if PLANNABLE.match(statement.body) and not ELSEWHERE.search(statement.body) else None
    )
