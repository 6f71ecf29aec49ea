"""Turns: within this process, one at a time for each key, without holding a connection meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """A lock per key, for as long as anyone holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: Hashable, *, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError after waiting `seconds`."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with asyncio.timeout(seconds):
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()
