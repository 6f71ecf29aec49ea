"""Askers whom a lock holds up: they wait on connections of their own, so that nobody waits behind them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context

from core.database.askers import Asker, BatchStatement, hand_out, in_time
from core.database.instants import Columns
from core.problems import BUSY, DB_SLOW, DatabaseUnavailable

MOST_OF_ONE = 64
MOST_OF_ALL = 1024
FIRST_PATIENCE = (
    0.2  # seconds that a group first waits for a lock; each time it is held up again, four times as long
)

# A statement, and what its askers are held up by: a sale's owner, a key. None when a table is locked: then every asker
# of the statement is held up.
Key = tuple[BatchStatement, bytes | None]
Run = Callable[[Key, Sequence[Asker], float], Awaitable[list[Columns]]]


class LockNotAvailable(Exception):
    """The lock was not to be had in time; nothing changed."""


class Held:
    """Groups of askers, one group for each key; those of one group share a round trip.

    `run` is given a group's key, askers, and how many seconds they may wait for a lock. Raises LockNotAvailable."""

    def __init__(self, run: Run, *, timeout: float) -> None:
        self.groups: dict[Key, deque[Asker]] = {}
        self._run = run
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def add(self, key: Key, askers: Iterable[Asker]) -> None:
        """Lets askers wait with those of the same key. Refuses those beyond the limit."""
        waiting = self.groups.get(key)
        if waiting is None:
            waiting = self.groups[key] = deque()
            task = self._loop.create_task(self._serve(key, waiting), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        for asker in askers:
            if len(waiting) < (MOST_OF_ALL if key[1] is None else MOST_OF_ONE):
                waiting.append(asker)
            else:
                asker.refuse(DatabaseUnavailable(BUSY))

    def add_apart(self, statement: BatchStatement, askers: Iterable[Asker]) -> None:
        """As add, for askers that may wait for different rows: those that wait for the same row wait together."""
        for asker in askers:
            self.add((statement, asker.behind), [asker])

    def key_of(self, statement: BatchStatement, elements: Sequence[bytes]) -> Key | None:
        """The key of the group that a new asker would have to wait with, if there is one."""
        for first in (None, elements[0] if elements else b""):
            if (statement, first) in self.groups:
                return statement, first
        return None

    async def close(self) -> None:
        """Answers those who wait."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, key: Key, waiting: deque[Asker]) -> None:
        patience = FIRST_PATIENCE
        while askers := in_time(waiting, self._loop.time() - self._timeout):
            waiting.clear()
            try:
                rows = await self._run(key, askers, patience)
            except LockNotAvailable:
                if key[1] is None and len({asker.behind for asker in askers}) > 1:
                    self.add_apart(key[0], askers)
                else:
                    waiting.extendleft(reversed(askers))
                patience *= 4
            except Exception as error:
                await self._fail(key, askers, error)
            else:
                hand_out(askers, (row for row in rows if not (key[0].skips and row[1] is None)))
        del self.groups[key]

    async def _fail(self, key: Key, askers: list[Asker], error: Exception) -> None:
        """Repeats a statement that failed, asker by asker, so that only those at fault get the error."""
        if len(askers) == 1 or isinstance(error, DatabaseUnavailable):
            for asker in askers:
                asker.refuse(error)
            return
        for asker in askers:
            await self._serve_one(key, asker)

    async def _serve_one(self, key: Key, asker: Asker) -> None:
        try:
            rows = await self._run(key, [asker], FIRST_PATIENCE)
        except LockNotAvailable:
            asker.refuse(DatabaseUnavailable(DB_SLOW))
        except Exception as error:
            asker.refuse(error)
        else:
            hand_out([asker], (row for row in rows if not (key[0].skips and row[1] is None)))
