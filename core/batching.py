"""Askers of one statement that wait at the same time share one round trip to the database."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import Context
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from msgspec import Struct

from core.database_errors import problem_of
from core.database_wire import Columns, Wire
from core.naming import named
from core.problems import BUSY, DB_SLOW, DatabaseUnavailable

MOST_WAITING = 1024


def _quoted(text: str) -> bytes:
    return b'"%b"' % text.replace("\\", "\\\\").replace('"', '\\"').encode()


ELEMENTS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"NULL",
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    str: _quoted,
    bytes: lambda value: b'"\\\\x%b"' % value.hex().encode(),
    datetime: lambda value: _quoted(value.isoformat()),
}


def element(value: object) -> bytes:
    """A value within PostgreSQL's text of an array, {1,NULL,"dos"}. Raises KeyError for an unknown type."""
    return ELEMENTS[type(value)](value)


def array(elements: Iterable[bytes]) -> bytes:
    return b"{%b}" % b",".join(elements)


def alone(parameters: Mapping[str, object]) -> dict[str, str]:
    """The parameters of a statement written for a batch that has a single asker."""
    return {name: array([element(value)]).decode() for name, value in parameters.items()}


class Statement:
    """A statement written for a batch: each parameter is an array with one element per asker.

    Its first column is `n`, the 1-based position of the asker that the row is for."""

    def __init__(self, sql: str) -> None:
        self.names: list[str] = []
        self.sql = re.sub(r"%%|%\((\w+)\)s", self._placeholder, named(sql)).encode()

    def _placeholder(self, match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "%"
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"


statement = cache(Statement)


class Asker(Struct, gc=False):
    """Who waits: for `answer`, with an element for each of the statement's parameters, since `arrived`."""

    answer: asyncio.Future[list[Columns]]
    elements: list[bytes]
    arrived: float

    def tell(self, rows: list[Columns]) -> None:
        if not self.answer.done():
            self.answer.set_result(rows)

    def refuse(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(problem_of(error))


class Lane:
    """One connection; while a batch is on its way, those who arrive wait and go together with the next.

    A statement that fails is repeated asker by asker, so that only those at fault are told. `repeats` is for
    statements that change nothing: a batch whose connection died runs again on another."""

    def __init__(
        self, connect: Callable[[], Awaitable[Wire]], *, most: int, timeout: float, repeats: bool
    ) -> None:
        self.waiting = 0
        self.sizes: Counter[int] = Counter()  # how many batches had up to 1, 2, 4, 8 … askers
        self._connect = connect
        self._most = most
        self._timeout = timeout
        self._repeats = repeats
        self._wire: Wire | None = None
        self._queues: dict[Statement, deque[Asker]] = {}
        self._task: asyncio.Task[None] | None = None
        self._context = Context()  # a lane works for many: its log lines are not of the request that woke it
        self._loop = asyncio.get_running_loop()

    @property
    def connected(self) -> bool:
        return self._wire is not None and self._wire.alive

    def ask(self, statement: Statement, parameters: Mapping[str, object]) -> asyncio.Future[list[Columns]]:
        """The rows for this asker, `n` included. Raises DatabaseUnavailable when too many wait already."""
        if self.waiting >= MOST_WAITING:
            raise DatabaseUnavailable(BUSY)
        elements = [element(parameters[name]) for name in statement.names]
        asker = Asker(self._loop.create_future(), elements, self._loop.time())
        if statement not in self._queues:
            self._queues[statement] = deque()
        self._queues[statement].append(asker)
        self.waiting += 1
        if self._task is None:
            self._task = self._loop.create_task(self._drain(), context=self._context)
        return asker.answer

    async def close(self) -> None:
        """Answers those who wait, then closes the connection."""
        if self._task:
            await self._task
        if self._wire:
            self._wire.close()

    async def _drain(self) -> None:
        while self._queues:
            statement, queue = next(iter(self._queues.items()))
            batch = [queue.popleft() for _ in range(min(self._most, len(queue)))]
            self.waiting -= len(batch)
            del self._queues[statement]
            if queue:
                self._queues[statement] = queue  # behind the others: statements take turns
            await self._serve(statement, batch)
        self._task = None

    async def _serve(self, statement: Statement, askers: list[Asker]) -> None:
        batch = self._in_time(askers)
        if not batch:
            return
        try:
            found = await self._query(statement, batch)
        except Exception as error:
            if len(batch) > 1 and self.connected:
                for asker in batch:
                    await self._serve(statement, [asker])
            else:
                for asker in batch:
                    asker.refuse(error)
        else:
            for asker, rows in zip(batch, found, strict=True):
                asker.tell(rows)

    def _in_time(self, askers: list[Asker]) -> list[Asker]:
        """Those who still wait; who waited too long is told so."""
        oldest = self._loop.time() - self._timeout
        for asker in askers:
            if asker.arrived < oldest:
                asker.refuse(DatabaseUnavailable(DB_SLOW))
        return [asker for asker in askers if not asker.answer.done()]

    async def _query(self, statement: Statement, batch: list[Asker]) -> list[list[Columns]]:
        self.sizes[1 << (len(batch) - 1).bit_length()] += 1
        parameters = [array(column) for column in zip(*(asker.elements for asker in batch), strict=True)]
        try:
            rows = await self._send(statement, parameters)
        except psycopg.Error:
            if not self._repeats or self._wire is None or self.connected:
                raise
            rows = await self._send(statement, parameters)
        found: list[list[Columns]] = [[] for _ in range(len(batch) + 1)]
        for columns in rows:
            found[columns[0]].append(columns)
        return found[1:]

    async def _send(self, statement: Statement, parameters: list[bytes]) -> list[Columns]:
        if self._wire is None or not self._wire.alive:
            self._wire = None
            self._wire = await self._connect()
        return await self._wire.query(statement.sql, parameters)
