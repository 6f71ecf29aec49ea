"""Rooms: how many may do one kind of work at a time, and whose turn is next."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Literal

from core.problems import BUSY, CROWDED, DB_POOL, DatabaseUnavailable, Kind, Problem

MOST_WAITING = 1024  # of all accounts
MOST_FILES = 256
MOST_REGISTRATIONS = 256
WAITING_OF_ONE = 8  # heavy requests, transfers and registrations
LOAD_SECONDS = 10.0  # a file that is whole waits so long for a connection
REGISTRATION_SECONDS = 15.0

KindOfWork = Literal["interactive", "heavy", "transfers", "held"]


def rooms(connections: int, timeout: float) -> dict[KindOfWork, "Room"]:
    """The rooms of a pool. Heavy work, transfers and those whom a lock holds up leave connections for the others."""
    held = max(1, connections // 6)
    heavy = max(1, connections // 3)
    loads = max(1, (connections + 1) // 3)

    def room(most: int, of_one: int, waiting_of_one: int, timeout: float = timeout) -> Room:
        return Room(most=most, of_one=of_one, waiting_of_one=waiting_of_one, timeout=timeout)

    return {
        "interactive": room(connections, max(1, connections // 2), MOST_WAITING),
        "heavy": room(heavy, max(1, heavy // 2), WAITING_OF_ONE),
        "transfers": room(loads, 1, WAITING_OF_ONE, LOAD_SECONDS),
        "held": room(held, 1, MOST_WAITING),
    }


def transfers(timeout: float) -> "Room":
    """The room of files that come and go; one that waits for its client holds no connection."""
    return Room(most=MOST_FILES, of_one=1, waiting_of_one=WAITING_OF_ONE, timeout=timeout)


def registrations() -> "Room":
    """The room of those who register: of one address few wait for a hash, however many it sends at once."""
    return Room(
        most=MOST_REGISTRATIONS,
        of_one=2,
        waiting_of_one=WAITING_OF_ONE,
        timeout=REGISTRATION_SECONDS,
        in_vain=BUSY,
    )


class Room:
    """Lets in `most` at a time and `of_one` of them for one account; accounts that wait take turns.

    An account is whatever tells askers apart: a user's id, or an address; None, the process itself, has no limit of
    its own. Up to `waiting_of_one` of an account wait, up to `timeout` seconds; `in_vain` is why, when it is because of
    others. `waits`, `wait_seconds` and `refused` only grow."""

    def __init__(
        self, *, most: int, of_one: int, waiting_of_one: int, timeout: float, in_vain: Kind = DB_POOL
    ) -> None:
        self.most = most
        self.inside = 0
        self.waiting = 0
        self.waits = self.refused = 0
        self.wait_seconds = 0.0
        self._of_one = of_one
        self._waiting_of_one = waiting_of_one
        self._timeout = timeout
        self._in_vain = in_vain
        self._inside: Counter[Hashable] = Counter()
        self._queues: dict[Hashable, deque[asyncio.Future[None]]] = {}  # the next in turn first

    @asynccontextmanager
    async def turn(self, account: Hashable) -> AsyncIterator[None]:
        """The block is inside.

        Raises Problem: 429 when the account's own are too many, DatabaseUnavailable when others are."""
        if not self.enter(account):
            await self._wait(account)
        try:
            yield
        finally:
            self.leave(account)

    def enter(self, account: Hashable) -> bool:
        """Whether one more of an account was let in; then `leave` must follow."""
        if self.inside >= self.most or self._full(account):
            return False
        self.inside += 1
        self._inside[account] += 1
        return True

    def _full(self, account: Hashable) -> bool:
        return account is not None and self._inside[account] >= self._of_one

    def leave(self, account: Hashable) -> None:
        self.inside -= 1
        self._inside[account] -= 1
        if not self._inside[account]:
            del self._inside[account]
        self._let_in()

    async def _wait(self, account: Hashable) -> None:
        if self.waiting >= MOST_WAITING or len(self._queues.get(account, ())) >= self._waiting_of_one:
            raise self._refusal(account)
        loop = asyncio.get_running_loop()
        began = loop.time()
        turn: asyncio.Future[None] = loop.create_future()
        self._queues.setdefault(account, deque()).append(turn)
        self.waits += 1
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(account)  # let in, and gone
            if isinstance(error, TimeoutError):
                raise self._refusal(account) from None
            raise
        finally:
            self.waiting -= 1
            self.wait_seconds += loop.time() - began
            self._forget(account, turn)

    def _refusal(self, account: Hashable) -> Problem:
        self.refused += 1
        if self.waiting >= MOST_WAITING:
            return DatabaseUnavailable(BUSY)
        if self._full(account) or len(self._queues.get(account, ())) >= self._waiting_of_one:
            return Problem(CROWDED, CROWDED.cuando, headers=[(b"retry-after", b"1")])
        return DatabaseUnavailable(self._in_vain)

    def _let_in(self) -> None:
        for account, queue in list(self._queues.items()):
            while queue and queue[0].done():
                queue.popleft()
            if queue and self.enter(account):
                queue.popleft().set_result(None)
                self._queues[account] = self._queues.pop(account)  # behind the others
            if self.inside >= self.most:
                return

    def _forget(self, account: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(account)
        if queue is not None:
            if turn in queue:
                queue.remove(turn)
            if not queue:
                del self._queues[account]
