"""The request that a task works for: its log lines name it, and its waits for the database are summed."""

from collections.abc import Awaitable, MutableMapping
from contextvars import ContextVar
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

current: ContextVar[MutableMapping[str, Any] | None] = ContextVar("request", default=None)


def account() -> int | str | None:
    """The user, or else the address, that the task works for; None for work of the process itself."""
    scope = current.get()
    found: int | str | None = scope.get("account") if scope else None
    return found


async def waited(work: Awaitable[T]) -> T:
    """What `work` returns; how long it took, in seconds, is added to the request's scope["database_seconds"]."""
    began = perf_counter()
    try:
        return await work
    finally:
        if scope := current.get():
            scope["database_seconds"] += perf_counter() - began
