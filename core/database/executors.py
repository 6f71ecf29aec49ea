"""What runs a statement: an open transaction, or a connection that the pool lends for it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from core.database.askers import alone, reads, statement
from core.database.errors import SilenceError, as_problems, outcome_unknown, unanswered
from core.database.instants import Columns, with_fractions
from core.database.naming import named
from core.database.pool import Connection, Pool
from core.trace import comment, waited

T = TypeVar("T")
Question = tuple[str, Mapping[str, object]]  # a statement and its parameters

SILENCE_SECONDS = 17  # more than statement_timeout: what the server does not end itself


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

    async def together(self, *asked: Question) -> list[list[Columns]]:
        """The rows of each of some statements, which go in one round trip, as one transaction."""
        return await waited(self._together(asked))

    @property
    @abstractmethod
    def sharded(self) -> bool:
        """Whether this is a cluster, where a statement for one row is best sent to its shard alone."""

    async def gather(
        self, row: Callable[..., T], sql: str, routed: str = "", /, **parameters: object
    ) -> T | None:
        """The one row for this asker, if any, of a statement written for many (core.database.askers.BatchStatement).

        `routed` asks the same for one asker, with plain parameters and no `n`; the first tells a cluster the shard."""
        if routed and self.sharded:
            rows = await waited(self._routed(routed, parameters))
            return row(*rows[0]) if rows else None
        rows = await waited(self._gather("reads", sql, parameters))
        return row(*rows[0][1:]) if rows else None

    async def gather_many(self, row: Callable[..., T], sql: str, /, **parameters: object) -> list[T]:
        """The rows for this asker of a statement that answers many with a page each."""
        rows = await waited(self._gather("pages", sql, parameters))
        return [row(*columns[1:]) for columns in rows]

    @abstractmethod
    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> tuple[list[Columns], int]: ...

    @abstractmethod
    async def _together(self, asked: Sequence[Question]) -> list[list[Columns]]: ...

    def _gather(self, lane: str, sql: str, parameters: Mapping[str, object]) -> Awaitable[list[Columns]]:
        return self._alone(sql, parameters)

    async def _routed(self, sql: str, parameters: Mapping[str, object]) -> list[Columns]:
        rows, _ = await self._execute(sql, parameters)
        return rows

    async def _alone(self, sql: str, parameters: Mapping[str, object]) -> list[Columns]:
        asked = statement(sql)
        rows, _ = await self._execute(asked.patient, alone(parameters))
        return [row for row in rows if not (asked.skips and row[1] is None)]


class Transaction(Executor):
    """An open transaction; `connection` is for what needs psycopg itself: COPY, server-side cursors."""

    def __init__(self, connection: Connection, *, sharded: bool) -> None:
        self.connection = connection
        self._sharded = sharded

    @property
    def sharded(self) -> bool:
        return self._sharded

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """This same one: what is done in the block ends as the whole does."""
        yield self

    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> tuple[list[Columns], int]:
        with as_problems():
            return await execute(self.connection, sql, parameters)

    async def _together(self, asked: Sequence[Question]) -> list[list[Columns]]:
        return [(await self._execute(sql, parameters))[0] for sql, parameters in asked]


class Pooled(Executor):
    """Runs each statement as a transaction of its own, on a connection that the pool lends.

    A read whose connection dies is repeated once on another; a change never."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @property
    def sharded(self) -> bool:
        return self.pool.sharded

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits when its block ends, rolls back when it raises."""
        committing = False
        with as_problems():
            async with self.pool.connection() as connection:
                try:
                    async with connection.transaction():
                        yield Transaction(connection, sharded=self.sharded)
                        committing = True
                except psycopg.Error as error:
                    if committing and unanswered(error):
                        raise outcome_unknown(error) from error
                    raise

    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> tuple[list[Columns], int]:
        with as_problems():
            connection = None
            try:
                async with self.pool.connection() as connection:
                    return await execute(connection, sql, parameters)
            except (psycopg.Error, SilenceError) as error:
                if connection is not None and not reads(sql) and unanswered(error):
                    raise outcome_unknown(error) from error
                if connection is None or not connection.closed or not reads(sql):
                    raise
            await self.pool.drain()
            async with self.pool.connection() as connection:
                return await execute(connection, sql, parameters)

    async def _together(self, asked: Sequence[Question]) -> list[list[Columns]]:
        with as_problems():
            connection = None
            try:
                async with self.pool.connection() as connection:
                    return await execute_together(connection, asked)
            except (psycopg.Error, SilenceError) as error:
                if connection is not None and unanswered(error):
                    raise outcome_unknown(error) from error
                raise


async def execute(
    connection: Connection, sql: str, parameters: Mapping[str, object]
) -> tuple[list[Columns], int]:
    """Raises psycopg.Error, or SilenceError."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            cursor = await _ask(connection, sql, parameters)
    except TimeoutError:
        raise SilenceError(f"no answer in {SILENCE_SECONDS} s") from None
    return await _rows(cursor), cursor.rowcount


async def _ask(
    connection: Connection, sql: str, parameters: Mapping[str, object]
) -> psycopg.AsyncCursor[Columns]:
    """With the trace of its request, a statement is another each time, and not worth to be prepared."""
    traced = comment()
    return await connection.execute(
        traced + named(sql), parameters, binary=True, prepare=False if traced else None
    )


async def execute_together(connection: Connection, asked: Sequence[Question]) -> list[list[Columns]]:
    """Raises psycopg.Error, or SilenceError; then nothing has changed, or the connection is lost."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS), connection.pipeline():
            await connection.execute("BEGIN", prepare=False)
            cursors = [await _ask(connection, sql, parameters) for sql, parameters in asked]
            await connection.execute("COMMIT", prepare=False)
    except TimeoutError:
        raise SilenceError(f"no answer in {SILENCE_SECONDS} s") from None
    except psycopg.Error:
        if connection.info.transaction_status is TransactionStatus.INERROR:
            await connection.rollback()
        raise
    return [await _rows(cursor) for cursor in cursors]


async def _rows(cursor: psycopg.AsyncCursor[Columns]) -> list[Columns]:
    if cursor.pgresult is None or not cursor.description:
        return []
    return with_fractions(cursor.pgresult, await cursor.fetchall())
