"""What tests of core.database share: rows as they come, and waiting on an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from core.database.database import Database

Rows = Callable[..., list[tuple[Any, ...]]]
Open = Callable[..., Awaitable[Database]]


def row(*columns: object) -> tuple[object, ...]:
    return columns


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it waits for happens in PostgreSQL, which sets no Event
            await asyncio.sleep(0.01)
