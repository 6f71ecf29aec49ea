"""Askers of one statement that wait at the same time share one round trip to the database."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from functools import partial

import psycopg
from msgspec import Struct
from psycopg.pq.abc import PGresult

from core.database.askers import Asker, BatchStatement, columns, hand_out, in_time
from core.database.errors import outcome_unknown, unanswered
from core.database.held import Held
from core.database.instants import Columns
from core.database.wire import Wire
from core.problems import BUSY, DatabaseUnavailable

MOST_WAITING = 1024
LOCK_NOT_AVAILABLE = "55P03"


class Batch(Struct, gc=False):
    """Askers that share a round trip; `again` when it is their second, after a connection died."""

    statement: BatchStatement
    askers: list[Asker]
    again: bool = False

    def refuse(self, error: Exception) -> None:
        for asker in self.askers:
            asker.refuse(error)


class Lane:
    """One connection; while a batch is on its way, new askers wait and go together in the next.

    No batch waits for a lock: an asker who would have to is handed to `held`. A batch that is slow for another reason
    keeps its connection, and the lane goes on with one that `borrow` lends, if it has one, until the slow one is done.
    A statement that fails is repeated asker by asker, so that only those at fault are told. `repeats` is for
    statements that change nothing: a batch whose connection died runs again on another."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Wire]],
        borrow: Callable[[], asyncio.Task[Wire] | None],
        held: Held,
        *,
        most: int,
        timeout: float,
        repeats: bool,
    ) -> None:
        self.waiting = 0
        self.sizes: Counter[int] = Counter()  # how many batches had up to 1, 2, 4, 8 … askers
        self._connect = connect
        self._borrow = borrow
        self._held = held
        self._most = most
        self._timeout = timeout
        self._repeats = repeats
        self._wire: Wire | None = None
        self._slow: Wire | None = None  # the lane's own, while the lane goes on with a borrowed one
        self._whole = asyncio.Event()  # no batch is slow
        self._whole.set()
        self._loan: asyncio.Task[Wire] | None = None  # a connection that is being borrowed
        self._queues: dict[BatchStatement, deque[Asker]] = {}
        self._repeated: deque[Batch] = deque()  # which go before the queues
        self._idle = asyncio.Event()
        self._idle.set()
        self._context = Context()  # a lane works for many: its log lines are not of the request that woke it
        self._loop = asyncio.get_running_loop()

    @property
    def connected(self) -> bool:
        return self._wire is not None and self._wire.alive

    def ask(
        self, statement: BatchStatement, parameters: Mapping[str, object]
    ) -> asyncio.Future[list[Columns]]:
        """The rows for this asker, `n` included. Raises DatabaseUnavailable when too many wait already."""
        if self.waiting >= MOST_WAITING:
            raise DatabaseUnavailable(BUSY)
        elements = statement.elements(parameters)
        asker = Asker(self._loop.create_future(), elements, self._loop.time())
        if self._held.groups and (key := self._held.key_of(statement, elements)):
            self._held.add(key, [asker])
            return asker.answer
        queue = self._queues.get(statement)
        if queue is None:
            queue = self._queues[statement] = deque()
        queue.append(asker)
        self.waiting += 1
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._go_on, context=self._context)  # with all that arrive until then
        return asker.answer

    async def close(self) -> None:
        """Answers those who wait, then closes the connection."""
        await self._idle.wait()
        await self._whole.wait()
        if self._wire:
            self._wire.close()

    def _go_on(self) -> None:
        """Sends the next batch, if anybody waits."""
        if self._slow and self._whole.is_set():
            self._take_back(self._slow)
        while batch := self._take():
            batch.askers = in_time(batch.askers, self._loop.time() - self._timeout)
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

    def _send(self, batch: Batch) -> None:
        wire, sql = self._wire, batch.statement.sql
        if wire is None or not wire.ready(sql) or not (self._repeats or wire.alive):
            self._preparing = self._loop.create_task(self._prepare(batch), context=self._context)
            return
        self.sizes[1 << (len(batch.askers) - 1).bit_length()] += 1
        self._ask(wire, batch)

    def _ask(self, wire: Wire, batch: Batch) -> None:
        wire.ask(
            batch.statement.sql, columns(batch.askers), partial(self._told, wire, batch), self._step_aside
        )

    async def _prepare(self, batch: Batch) -> None:
        """Connects, if need be, and makes the batch's statement ready."""
        try:
            if self._wire is None or not self._wire.alive:
                self._wire = None
                loan, self._loan = self._loan, None
                self._wire = await (loan or self._connect())
            await self._wire.prepare(batch.statement.sql)
        except Exception as error:
            self._fail(self._wire, batch, error)
        else:
            self._repeated.appendleft(batch)
        self._go_on()

    def _told(self, wire: Wire, batch: Batch, result: PGresult | Exception) -> None:
        if isinstance(result, Exception):
            self._fail(wire, batch, result, sent=True)
        else:
            try:
                held = hand_out(batch.askers, wire.rows(result), skips=batch.statement.skips)
                if held:
                    self._held.add_apart(batch.statement, held)
            except Exception as error:  # a defect of ours, but what the statement did is done
                batch.refuse(error)
        self._answered(wire)

    def _answered(self, wire: Wire) -> None:
        """The batch that a connection carried is over."""
        if wire is self._slow:
            self._whole.set()
            if not self._idle.is_set():
                return  # the lane's batch comes to its end first
        self._go_on()

    def _step_aside(self) -> None:
        """The batch on its way is slow: it keeps its connection, and those behind it get another."""
        if self._slow is None and self._queues and (loan := self._borrow()):
            self._slow, self._wire, self._loan = self._wire, None, loan
            self._whole.clear()
            self._go_on()

    def _take_back(self, own: Wire) -> None:
        """The slow batch is done: the lane uses its own connection again."""
        borrowed, loan = self._wire, self._loan
        self._wire, self._slow, self._loan = own, None, None
        if borrowed:
            borrowed.close()
        if loan:
            loan.add_done_callback(_close_lent)

    def _fail(self, wire: Wire | None, batch: Batch, error: Exception, *, sent: bool = False) -> None:
        """Repeats a batch that failed where that may help. Otherwise gives its askers the error."""
        died = wire is not None and not wire.alive
        if died and self._repeats and not batch.again and isinstance(error, psycopg.Error):
            batch.again = True
            self._repeated.appendleft(batch)
        elif isinstance(error, psycopg.Error) and error.sqlstate == LOCK_NOT_AVAILABLE:
            self._hold(batch, error)
        elif len(batch.askers) > 1 and wire is not None and not died:
            self._repeated.extend(Batch(batch.statement, [asker], batch.again) for asker in batch.askers)
        else:
            lost = sent and not self._repeats and unanswered(error)
            batch.refuse(outcome_unknown(error) if lost else error)

    def _hold(self, batch: Batch, error: psycopg.Error) -> None:
        """Hands a batch that met a lock to `held`: one asker waits for its row, several perhaps for the table."""
        if self._repeats or len(batch.askers) > 1:
            self._held.add((batch.statement, None), batch.askers)
        else:
            self._held.add_apart(batch.statement, batch.askers)


def _close_lent(loan: asyncio.Task[Wire]) -> None:
    """Gives a borrowed connection back."""
    if not loan.cancelled() and not loan.exception():
        loan.result().close()
