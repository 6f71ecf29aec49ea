"""Connections: how one is opened, and a pool of them to borrow from."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper

from core.database_wire import LOOKS, STALE
from core.problems import BUSY, DB_POOL, DatabaseUnavailable

Connection = psycopg.AsyncConnection[Any]

MOST_WAITING = 1024
PAUSE_SECONDS = 0.5

PARAMETERS = {
    "application_name": "ventas",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 5_000,  # milliseconds; the others are seconds and a count
}
SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
    "client_connection_check_interval": "2s",
}

log = logging.getLogger("ventas.database")


class Connector:
    """Opens connections to one database; where its URL says otherwise, the URL wins.

    After a failed attempt it says so at once for half a second, instead of trying again for every request.
    Without `prepare` nothing is sent that PgBouncer would refuse: the timeouts are then the role's own."""

    def __init__(self, url: str, *, timeout: float, prepare: bool) -> None:
        self.prepare = prepare
        self._parameters = PARAMETERS | {"connect_timeout": math.ceil(timeout)} | conninfo_to_dict(url)
        self._settings = SETTINGS | {"lock_timeout": f"{timeout}s"}
        self._failure = ""
        self._pause_ends = 0.0

    async def open(self, **settings: str) -> Connection:
        """A new connection, in autocommit mode and with `settings`. Raises psycopg.OperationalError."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._pause_ends:
            raise psycopg.OperationalError(self._failure)
        try:
            connection = await self._connect(self._settings | settings)
        except psycopg.Error as error:
            if not self._failure:
                log.warning("database away: %s", error)
            self._failure = str(error)
            self._pause_ends = loop.time() + PAUSE_SECONDS
            raise
        if self._failure:
            log.warning("database back")
            self._failure = ""
        return connection

    async def _connect(self, settings: dict[str, str]) -> Connection:
        parameters: dict[str, Any] = dict(self._parameters)
        if self.prepare:
            ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
            parameters["options"] = f"{ours} {parameters.get('options', '')}"
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo(**parameters), autocommit=True, prepare_threshold=0 if self.prepare else None
        )
        if not self.prepare:
            try:
                await connection.execute("SET timezone = 'UTC'")
            except BaseException:
                await connection.close()
                raise
        # psycopg would pick int2, int4 or int8 by value, and each choice is another prepared statement.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        # As text, a list would take its type from the first list of the statement, however small its numbers.
        connection.adapters.register_dumper(list, ListBinaryDumper)
        return connection


class Pool:
    """At most `size` connections, lent in turn; who finds none idle opens one, and knows if that fails."""

    def __init__(self, connector: Connector, *, size: int, timeout: float) -> None:
        self.size = size
        self.idle: list[Connection] = []
        self.lent = 0
        self.waiting = 0
        self.refused = 0
        self._connector = connector
        self._timeout = timeout
        self._turns = asyncio.Semaphore(size)
        self._open = True

    @asynccontextmanager
    async def connection(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """Lends a connection that is alive as far as its socket tells; a `fresh` one when the idle are in doubt.

        Raises DatabaseUnavailable after `timeout` seconds without a turn, and psycopg.OperationalError."""
        await self._take_turn()
        self.lent += 1
        try:
            if fresh:
                await self._close_idle()
            connection = self._take_idle() or await self._connector.open()
            try:
                yield connection
            except psycopg.Error as error:
                if error.sqlstate in STALE:
                    await connection.close()
                raise
            finally:
                await self._give_back(connection)
        finally:
            self.lent -= 1
            self._turns.release()

    async def fill(self, count: int) -> None:
        """Opens connections until `count` are there. Raises psycopg.OperationalError."""
        async with AsyncExitStack() as stack:
            for _ in range(count):
                await stack.enter_async_context(self.connection())

    async def close(self) -> None:
        """Closes what is idle now, and what is lent as it comes back."""
        self._open = False
        await self._close_idle()

    async def _take_turn(self) -> None:
        if self.waiting >= MOST_WAITING:
            self.refused += 1
            raise DatabaseUnavailable(BUSY)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._turns.acquire()
        except TimeoutError:
            self.refused += 1
            raise DatabaseUnavailable(DB_POOL) from None
        finally:
            self.waiting -= 1

    def _take_idle(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            try:
                for _ in range(LOOKS):
                    connection.pgconn.consume_input()
                return connection
            except psycopg.OperationalError:
                continue
        return None

    async def _close_idle(self) -> None:
        while self.idle:
            await self.idle.pop().close()

    async def _give_back(self, connection: Connection) -> None:
        if self._open and connection.info.transaction_status == TransactionStatus.IDLE:
            self.idle.append(connection)
        else:
            await connection.close()
