"""A connection that LISTENs, outside the pool, and can prove that it still hears."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from core.database.errors import as_problems
from core.database.naming import named
from core.database.pool import Connection, Connector

PATIENCE_SECONDS = 3.0

PING = """
-- listener.ping: shows that the connection listens and answers; uses no index
SELECT pg_listening_channels()
"""


class DeafError(Exception):
    """Notices that another connection sends do not arrive on this one."""


class Listener:
    """A connection that hears `channel`; `own` is another channel that nobody else hears."""

    def __init__(self, connection: Connection, own: str) -> None:
        self._connection = connection
        self._own = own

    async def ping(self) -> None:
        """Returns once every notice sent before this call has arrived.

        PostgreSQL sends what a listening connection has to hear ahead of the end of its next answer. Raises
        DatabaseUnavailable, DeafError, or TimeoutError."""
        with as_problems():
            async with asyncio.timeout(PATIENCE_SECONDS):
                cursor = await self._connection.execute(named(PING))
                if (self._own,) not in await cursor.fetchall():
                    raise DeafError


@asynccontextmanager
async def open_listener(
    connector: Connector,
    channel: str,
    hear: Callable[[str], None],
    tell: Callable[[str], Awaitable[None]],
) -> AsyncIterator[Listener]:
    """Listens for the length of the block; `hear` gets each payload, during a ping.

    `tell` notifies a channel over another connection: that must arrive before the block begins, which it does
    not through a pooler that lends server connections by the transaction. Raises as `Listener.ping` does."""
    own = f"{channel}_{secrets.token_hex(8)}"
    with as_problems():
        connection = await connector.open()
        async with connection:
            await connection.execute(f"LISTEN {channel}")
            await connection.execute(f"LISTEN {own}")
            await tell(own)
            if not await _arrives(connection, own):
                await connection.execute("UNLISTEN *")
                raise DeafError
            connection.add_notify_handler(
                lambda notify: hear(notify.payload) if notify.channel == channel else None
            )
            yield Listener(connection, own)


async def _arrives(connection: Connection, channel: str) -> bool:
    """Whether something is heard on `channel` while the connection asks nothing."""
    async for notify in connection.notifies(timeout=PATIENCE_SECONDS):
        if notify.channel == channel:
            return True
    return False
