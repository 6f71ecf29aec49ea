"""Askers of one statement that wait at the same time share one round trip to the database."""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import Context
from datetime import datetime
from functools import cache, partial
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.pq.abc import PGresult

from core.database.errors import outcome_unknown, problem_of, unanswered
from core.database.naming import named
from core.database.wire import Columns, Wire
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


class Batch(Struct, gc=False):
    """Askers that share a round trip; `again` when it is their second, after a connection died."""

    statement: Statement
    askers: list[Asker]
    again: bool = False

    def refuse(self, error: Exception) -> None:
        for asker in self.askers:
            asker.refuse(error)


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
        self._repeated: deque[Batch] = deque()  # which go before the queues
        self._idle = asyncio.Event()
        self._idle.set()
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
        queue = self._queues.get(statement)
        if queue is None:
            queue = self._queues[statement] = deque()
        queue.append(asker)
        self.waiting += 1
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._go_on, context=self._context)  # with all who arrive until then
        return asker.answer

    async def close(self) -> None:
        """Answers those who wait, then closes the connection."""
        await self._idle.wait()
        if self._wire:
            self._wire.close()

    def _go_on(self) -> None:
        """Sends the next batch, if anybody waits."""
        while batch := self._take():
            batch.askers = self._in_time(batch.askers)
            if batch.askers:
                self._send(batch)
                return
        self._idle.set()

    def _take(self) -> Batch | None:
        if self._repeated:
            return self._repeated.popleft()
        if not self._queues:
            return None
        statement, queue = next(iter(self._queues.items()))
        askers = [queue.popleft() for _ in range(min(self._most, len(queue)))]
        self.waiting -= len(askers)
        del self._queues[statement]
        if queue:
            self._queues[statement] = queue  # behind the others: statements take turns
        return Batch(statement, askers)

    def _in_time(self, askers: list[Asker]) -> list[Asker]:
        """Those who still wait; who waited too long is told so."""
        oldest = self._loop.time() - self._timeout
        for asker in askers:
            if asker.arrived < oldest:
                asker.refuse(DatabaseUnavailable(DB_SLOW))
        return [asker for asker in askers if not asker.answer.done()]

    def _send(self, batch: Batch) -> None:
        wire, sql = self._wire, batch.statement.sql
        if wire is None or not wire.ready(sql) or not (self._repeats or wire.alive):
            self._preparing = self._loop.create_task(self._prepare(batch), context=self._context)
            return
        self.sizes[1 << (len(batch.askers) - 1).bit_length()] += 1
        parameters = [
            array(column) for column in zip(*(asker.elements for asker in batch.askers), strict=True)
        ]
        wire.ask(sql, parameters, partial(self._told, batch))

    async def _prepare(self, batch: Batch) -> None:
        """Connects, if need be, and makes the batch's statement ready."""
        try:
            if self._wire is None or not self._wire.alive:
                self._wire = None
                self._wire = await self._connect()
            await self._wire.prepare(batch.statement.sql)
        except Exception as error:
            self._fail(batch, error)
        else:
            self._repeated.appendleft(batch)
        self._go_on()

    def _told(self, batch: Batch, result: PGresult | Exception) -> None:
        if isinstance(result, Exception):
            self._fail(batch, result, sent=True)
        else:
            try:
                self._hand_out(batch.askers, result)
            except Exception as error:  # a defect of ours, but what the statement did is done
                batch.refuse(error)
        self._go_on()

    def _hand_out(self, askers: list[Asker], result: PGresult) -> None:
        found: list[list[Columns]] = [[] for _ in askers]
        assert self._wire  # noqa: S101 - it has just told
        for columns in self._wire.rows(result):
            found[columns[0] - 1].append(columns)
        for asker, rows in zip(askers, found, strict=True):
            asker.tell(rows)

    def _fail(self, batch: Batch, error: Exception, *, sent: bool = False) -> None:
        """Another try for those whom it may help; the others are told."""
        died = self._wire is not None and not self.connected
        if died and self._repeats and not batch.again and isinstance(error, psycopg.Error):
            batch.again = True
            self._repeated.appendleft(batch)
        elif len(batch.askers) > 1 and self.connected:
            self._repeated.extend(Batch(batch.statement, [asker], batch.again) for asker in batch.askers)
        else:
            lost = sent and not self._repeats and unanswered(error)
            batch.refuse(outcome_unknown(error) if lost else error)
