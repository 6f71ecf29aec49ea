"""Askers of one statement that wait at the same time share one round trip to the database."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import psycopg

from core.database_errors import problem_of
from core.database_wire import Columns, Wire
from core.problems import BUSY, DB_SLOW, DatabaseUnavailable

MOST_WAITING = 1024


def _quoted(text: str) -> bytes:
    return b'"%b"' % text.replace("\\", r"\\").replace('"', r"\"").encode()


ELEMENTS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"NULL",
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    str: _quoted,
    bytes: lambda value: rb'"\\x%b"' % value.hex().encode(),
    datetime: lambda value: _quoted(value.isoformat()),
}


def element(value: object) -> bytes:
    """A value within PostgreSQL's text of an array, {1,NULL,"dos"}. Raises KeyError for an unknown type."""
    return ELEMENTS[type(value)](value)


def array(elements: Iterable[bytes]) -> bytes:
    return b"{%b}" % b",".join(elements)


def alone(parameters: Mapping[str, object]) -> dict[str, str]:
    """The parameters of a statement that has a single asker."""
    return {name: array([element(value)]).decode() for name, value in parameters.items()}


class Statement:
    """A statement written for a batch: each parameter is an array with one element per asker.

    Its first column is `n`, the 1-based position of the asker that the row is for."""

    def __init__(self, sql: str) -> None:
        self.names: list[str] = []
        self.sql = re.sub(r"%(?:%|\((\w+)\)s)", self._placeholder, sql).encode()

    def _placeholder(self, match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "%"
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"


statement = cache(Statement)


class Asker:
    __slots__ = ("answer", "arrived", "elements")

    def __init__(self, answer: asyncio.Future[list[Columns]], elements: list[bytes], arrived: float) -> None:
        self.answer = answer
        self.elements = elements
        self.arrived = arrived


class Lane:
    """One connection; while a batch is on its way, those who arrive wait and go together with the next.

    A statement that fails is repeated asker by asker, so that only those at fault are told. With `repeats` (for
    statements that change nothing) a batch whose connection died runs again on another."""

    def __init__(
        self, connect: Callable[[], Awaitable[Wire]], *, most: int, timeout: float, repeats: bool
    ) -> None:
        self._connect = connect
        self._most = most
        self._timeout = timeout
        self._repeats = repeats
        self._wire: Wire | None = None
        self._queues: dict[Statement, deque[Asker]] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.waiting = 0
        self.sizes: Counter[int] = Counter()

    def ask(self, statement: Statement, parameters: Mapping[str, object]) -> asyncio.Future[list[Columns]]:
        if self.waiting >= MOST_WAITING:
            raise DatabaseUnavailable(BUSY)
        elements = [element(parameters[name]) for name in statement.names]
        asker = Asker(self._loop.create_future(), elements, self._loop.time())
        self._queues.setdefault(statement, deque()).append(asker)
        self.waiting += 1
        if self._task is None:
            self._task = self._loop.create_task(self._drain())
        return asker.answer

    async def close(self) -> None:
        if self._task:
            await self._task
        if self._wire:
            self._wire.close()

    async def _drain(self) -> None:
        while self._queues:
            statement, askers = self._next()
            await self._serve(statement, askers)
        self._task = None

    def _next(self) -> tuple[Statement, list[Asker]]:
        statement, queue = next(iter(self._queues.items()))
        del self._queues[statement]
        askers = [queue.popleft() for _ in range(min(self._most, len(queue)))]
        if queue:
            self._queues[statement] = queue  # at the end: statements take turns
        self.waiting -= len(askers)
        return statement, askers

    async def _serve(self, statement: Statement, askers: list[Asker]) -> None:
        oldest = self._loop.time() - self._timeout
        batch = []
        for asker in askers:
            if asker.answer.done():
                continue
            if asker.arrived < oldest:
                asker.answer.set_exception(DatabaseUnavailable(DB_SLOW))
            else:
                batch.append(asker)
        if not batch:
            return
        self.sizes[1 << (len(batch) - 1).bit_length()] += 1
        try:
            rows = await self._query(statement, batch)
        except Exception as error:
            if len(batch) > 1 and self._wire and self._wire.alive:
                for asker in batch:
                    await self._serve(statement, [asker])
            else:
                for asker in batch:
                    if not asker.answer.done():
                        asker.answer.set_exception(problem_of(error))
            return
        found: list[list[Columns]] = [[] for _ in batch]
        for columns in rows:
            found[columns[0] - 1].append(columns)
        for asker, own in zip(batch, found, strict=True):
            if not asker.answer.done():
                asker.answer.set_result(own)

    async def _query(self, statement: Statement, batch: list[Asker]) -> list[Columns]:
        parameters = [array(column) for column in zip(*[asker.elements for asker in batch], strict=True)]
        try:
            return await self._ask(statement, parameters)
        except psycopg.OperationalError:
            if self._repeats and self._wire and not self._wire.alive:
                return await self._ask(statement, parameters)
            raise

    async def _ask(self, statement: Statement, parameters: list[bytes]) -> list[Columns]:
        if self._wire is None or not self._wire.alive:
            self._wire = await self._connect()
        return await self._wire.query(statement.sql, parameters)
