"""The request that a task works for: its log lines name it, and its waits for the database are summed."""

import re
from collections.abc import Awaitable, MutableMapping
from contextvars import ContextVar
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

# https://www.w3.org/TR/trace-context/: version, trace-id, parent-id, flags; versions after 00 may have more.
TRACEPARENT = re.compile(
    rb"(?:00|((?!00|ff)[0-9a-f]{2}))-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?(1)(?:-.*)?)"
)

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


def named(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """The `trace_id` of a request and the caller's `span_id`, as its `traceparent` says; nothing without a good one."""
    match = _traceparent(scope)
    return {"trace_id": match[2].decode(), "span_id": match[3].decode()} if match else {}


def comment() -> str:
    """The `traceparent` of the task's request as a comment before a statement, in sqlcommenter's form; or nothing.

    Before, since pg_stat_activity cuts the end of a long text."""
    scope = current.get()
    match = _traceparent(scope) if scope else None
    return f"/*traceparent='00-{b'-'.join(match.group(2, 3, 4)).decode()}'*/\n" if match else ""


def _traceparent(scope: MutableMapping[str, Any]) -> re.Match[bytes] | None:
    if b"traceparent" not in scope["header_names"]:
        return None
    said = [value for name, value in scope["headers"] if name == b"traceparent"]
    return TRACEPARENT.fullmatch(said[0]) if len(said) == 1 else None
