"""The database: typed rows from named statements, over a pool of connections and lanes that coalesce."""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import TypeVar

import psycopg

from core.database.errors import SilenceError, as_problems, outcome_unknown, unanswered
from core.database.lanes import Lane, alone, statement
from core.database.naming import named
from core.database.pool import Connection, Connector, Pool
from core.database.wire import Columns, Wire
from core.problems import DatabaseUnavailable
from core.trace import waited

T = TypeVar("T")
READ = re.compile(r"(\s|--.*\n)*SELECT\b")
MOST_ROWS, MOST_PAGES = 128, 8  # askers per batch
LANES = 3
KEPT_PLANS = {  # one made while the tables are small must suit them when they are large
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
SILENCE_SECONDS = 17  # more than statement_timeout: what the server does not end itself

UNKEPT = """
-- database.unkept: keeps no plans where Citus is, which must see the values to know their shards; uses no index
SELECT set_config('plan_cache_mode', 'auto', false)
 WHERE to_regclass('pg_catalog.pg_dist_node') IS NOT NULL
"""


class Executor(ABC):
    """Runs statements whose parameters are written `%(name)s`; each row becomes `row(*columns)`.

    Raises ConstraintViolated, or DatabaseUnavailable (503): then a change may or may not have happened."""

    async def one(self, row: Callable[..., T], sql: str, /, **parameters: object) -> T | None:
        """The first row, if any."""
        rows, _ = await waited(self._execute(sql, parameters))
        return row(*rows[0]) if rows else None

    async def many(self, row: Callable[..., T], sql: str, /, **parameters: object) -> list[T]:
        rows, _ = await waited(self._execute(sql, parameters))
        return [row(*columns) for columns in rows]

    async def run(self, sql: str, /, **parameters: object) -> int:
        """How many rows the statement changed."""
        _, count = await waited(self._execute(sql, parameters))
        return count

    async def gather(self, row: Callable[..., T], sql: str, /, **parameters: object) -> T | None:
        """The one row for this asker, if any, of a statement written for many (core.database.lanes.Statement)."""
        rows = await waited(self._gather("reads", sql, parameters))
        return row(*rows[0][1:]) if rows else None

    async def gather_many(self, row: Callable[..., T], sql: str, /, **parameters: object) -> list[T]:
        """The rows for this asker of a statement that answers many with a page each."""
        rows = await waited(self._gather("pages", sql, parameters))
        return [row(*columns[1:]) for columns in rows]

    @abstractmethod
    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> tuple[list[Columns], int]: ...

    def _gather(self, lane: str, sql: str, parameters: Mapping[str, object]) -> Awaitable[list[Columns]]:
        return self._alone(sql, parameters)

    async def _alone(self, sql: str, parameters: Mapping[str, object]) -> list[Columns]:
        rows, _ = await self._execute(sql, alone(parameters))
        return rows


class Transaction(Executor):
    """An open transaction; `connection` is for what needs psycopg itself: COPY, server-side cursors."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """This same one: what is done in the block ends as the whole does."""
        yield self

    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> tuple[list[Columns], int]:
        with as_problems():
            return await _execute(self.connection, sql, parameters)


class Database(Executor):
    """A pool, where each statement is a transaction of its own, and a lane each for reads, pages and writes.

    A read whose connection dies is repeated once on another; a change never."""

    def __init__(
        self, url: str, *, pool_min: int, pool_max: int, timeout: float, prepare: bool, coalesce: bool
    ) -> None:
        self._connector = Connector(url, timeout=timeout, prepare=prepare)
        self._timeout = timeout
        self.lanes: dict[str, Lane] = {}
        if coalesce and pool_max > LANES:
            self.lanes = {
                "reads": Lane(self._wire, most=MOST_ROWS, timeout=timeout, repeats=True),
                "pages": Lane(self._wire, most=MOST_PAGES, timeout=timeout, repeats=True),
                "writes": Lane(self._wire, most=MOST_ROWS, timeout=timeout, repeats=False),
            }
        most = pool_max - len(self.lanes)
        self.pool = Pool(self._connector, least=min(pool_min, most), most=most, timeout=timeout)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits when its block ends, rolls back when it raises."""
        committing = False
        with as_problems():
            async with self.pool.connection() as connection:
                try:
                    async with connection.transaction():
                        yield Transaction(connection)
                        committing = True
                except psycopg.Error as error:
                    if committing and unanswered(error):
                        raise outcome_unknown(error) from error
                    raise

    async def warm(self) -> None:
        """Connects before the first request needs it; a database that is away is no error yet."""
        with suppress(DatabaseUnavailable):
            await self._gather("reads", "SELECT 1 AS n", {})

    async def close(self) -> None:
        """Lets the lanes finish, then closes every connection."""
        for lane in self.lanes.values():
            await lane.close()
        await self.pool.close()

    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> tuple[list[Columns], int]:
        with as_problems():
            connection = None
            try:
                async with self.pool.connection() as connection:
                    return await _execute(connection, sql, parameters)
            except (psycopg.Error, SilenceError) as error:
                if connection is not None and not _reads(sql) and unanswered(error):
                    raise outcome_unknown(error) from error
                if connection is None or not connection.closed or not _reads(sql):
                    raise
            await self.pool.drain()
            async with self.pool.connection() as connection:
                return await _execute(connection, sql, parameters)

    def _gather(self, lane: str, sql: str, parameters: Mapping[str, object]) -> Awaitable[list[Columns]]:
        if not self.lanes:
            return super()._gather(lane, sql, parameters)
        return self.lanes[lane if _reads(sql) else "writes"].ask(statement(sql), parameters)

    async def _wire(self) -> Wire:
        connection = await self._connector.open(
            **KEPT_PLANS,
            statement_timeout=f"{self._timeout}s",
            lock_timeout=f"{self._timeout / 3}s",  # leaves time to repeat the batch without who holds it up
        )
        if self._connector.prepare:
            await connection.execute(named(UNKEPT))
        return Wire(connection, prepare=self._connector.prepare, timeout=self._timeout + 1)


@asynccontextmanager
async def open_database(
    url: str,
    *,
    pool_min: int = 1,
    pool_max: int = 10,
    timeout: float = 3.0,  # noqa: ASYNC109 - how long to wait for the database, not for the block
    prepare: bool = True,
    coalesce: bool = True,
) -> AsyncIterator[Database]:
    """A database for the length of the block, whether or not it can be reached yet.

    `pool_max` counts all its connections, lanes included; `timeout` is in seconds. `prepare=False` is for
    PgBouncer; `coalesce=False` sends each statement alone, as do fewer connections than lanes need."""
    database = Database(
        url, pool_min=pool_min, pool_max=pool_max, timeout=timeout, prepare=prepare, coalesce=coalesce
    )
    await database.pool.open()
    warming = asyncio.create_task(database.warm())
    try:
        yield database
    finally:
        warming.cancel()
        await asyncio.wait([warming])
        await database.close()


@cache
def _reads(sql: str) -> bool:
    return READ.match(sql) is not None


async def _execute(
    connection: Connection, sql: str, parameters: Mapping[str, object]
) -> tuple[list[Columns], int]:
    """Raises psycopg.Error, or SilenceError."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            cursor = await connection.execute(named(sql), parameters, binary=True)
    except TimeoutError:
        raise SilenceError(f"no answer in {SILENCE_SECONDS} s") from None
    rows = await cursor.fetchall() if cursor.description else []
    return rows, cursor.rowcount
