"""Requests that last: each ends soon after the caller's session has ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.types import Scope

from core.problems import Problem

LOOK_SECONDS = 0.1  # other processes hear of an end within 0.9 s: together it is a second


async def look_again(scope: Scope) -> None:
    """Raises Problem: 401 when the caller's session has ended since, 403 when they are an admin no more."""
    look: Callable[[Scope], Awaitable[None]] = scope["look_again"]
    await look(scope)


@asynccontextmanager
async def while_standing(scope: Scope) -> AsyncIterator[None]:
    """Cancels its block, within a second, when look_again would refuse the caller; then raises that Problem."""
    refused: list[Problem] = []
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await look_again(scope)
            except Problem as problem:
                refused.append(problem)
                limit.reschedule(loop.time())
                return

    try:
        async with asyncio.timeout(None) as limit:
            watching = loop.create_task(watch())
            try:
                yield
            finally:
                watching.cancel()
    except TimeoutError:
        if limit.expired():
            raise refused[0] from None
        raise
