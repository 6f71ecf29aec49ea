"""The ASGI application: its life follows the lifespan protocol, its requests go to the stack that start() yields."""

import logging
import multiprocessing
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from starlette.types import ASGIApp, Receive, Scope, Send

from core.process.counters import Siblings

log = logging.getLogger("ventas")


class StartError(Exception):
    """The process cannot serve: one line that says why and what to do."""


class Api:
    """`start` opens what requests need and yields the middleware stack that answers them.

    When it raises StartError, the server hears its one line and no traceback; of several processes, one says it.
    Whatever else it raises ends the process too: uvicorn would take it for an application that has no lifespan,
    and serve."""

    def __init__(self, start: Callable[[], AbstractAsyncContextManager[ASGIApp]]) -> None:
        self._start = start
        self._stack: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._stack(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with AsyncExitStack() as stack:
            try:
                self._stack = await stack.enter_async_context(self._start())
            except StartError as error:
                told = multiprocessing.parent_process() and not Siblings().first_to_fail()
                await send({"type": "lifespan.startup.failed", "message": "" if told else str(error)})
                return
            except Exception:
                log.exception("a defect keeps the process from starting")
                await send({"type": "lifespan.startup.failed", "message": ""})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
