"""How much of request bodies a process holds at a time."""

import asyncio
from collections import deque
from typing import Any

from core.http.burst_memory import burst_memory
from core.problems import BUSY, DatabaseUnavailable

LEAST_BUDGET = 32 * 1024 * 1024  # bytes
MUCH = 4 * 1024 * 1024  # bytes, after which memory is given back to the system


class BodyBudget:
    """Bodies have their turn in the order in which they ask; what one holds is given back when its task ends.

    A body that came whole with its head does not ask: it is here already. The task that reads a long one
    holds `turn`."""

    def __init__(self, most: int, seconds: float) -> None:
        self.turn = asyncio.Lock()
        self._most = self._free = self._least = most
        self._seconds = seconds
        self._waiting: deque[tuple[int, asyncio.Future[None], asyncio.Task[Any]]] = deque()

    async def hold(self, size: int) -> None:
        """Takes so many bytes for the current task. Raises DatabaseUnavailable when none come free in time."""
        task = asyncio.current_task()
        assert task  # noqa: S101 - each request has one
        if self._waiting or size > self._free:
            await self._wait(size, task)
        else:
            self._take(size, task)

    async def _wait(self, size: int, task: asyncio.Task[Any]) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn, task))
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except TimeoutError:
            raise DatabaseUnavailable(BUSY) from None
        finally:
            if not turn.done() or turn.cancelled():
                self._waiting = deque(asker for asker in self._waiting if asker[1] is not turn)
                self._serve()

    def _take(self, size: int, task: asyncio.Task[Any]) -> None:
        """Takes the bytes until the task ends, however it ends."""
        self._free -= size
        self._least = min(self._least, self._free)
        task.add_done_callback(lambda _: self._give_back(size))

    def _give_back(self, size: int) -> None:
        self._free += size
        self._serve()
        if self._free == self._most > self._least + MUCH:
            self._least = self._most
            burst_memory.give_back_soon()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size, turn, task = self._waiting.popleft()
            if not turn.done():
                self._take(size, task)
                turn.set_result(None)
