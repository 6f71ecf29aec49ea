"""Connections: how one is opened, and a pool of them to borrow from."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper
from psycopg_pool import AsyncConnectionPool

from core.database.errors import out_of_step
from core.database.naming import named
from core.database.wire import LOOKS, STALE

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
    "jit": "off",  # what it compiles for sums takes longer than it saves
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "60s",
    "client_connection_check_interval": "2s",
}

SHARDED = """
-- pool.sharded: whether the database is one of a cluster's, where one row is best asked of its shard; uses no index
SELECT to_regclass('pg_catalog.pg_dist_node') IS NOT NULL
"""

log = logging.getLogger("ventas.database")
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it warns at each attempt, Connector once


class Connector:
    """Opens connections to one database; where its URL says otherwise, the URL wins.

    After a failed attempt it says so at once for half a second, instead of trying again for every request.
    Without `prepare` nothing is sent that PgBouncer would refuse: the timeouts are then the role's own.
    `sharded` is whether the first connection, or the first after a failure, found Citus."""

    def __init__(self, url: str, *, timeout: float, prepare: bool) -> None:
        self.prepare = prepare
        self._parameters = PARAMETERS | {"connect_timeout": math.ceil(timeout)} | conninfo_to_dict(url)
        self._settings = SETTINGS | {"lock_timeout": f"{timeout}s"}
        self.failure = ""
        self.sharded: bool | None = None
        self._pause_ends = 0.0

    async def open(self, **settings: str) -> Connection:
        """A new connection, in autocommit mode and with `settings`. Raises psycopg.OperationalError."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._pause_ends:
            raise psycopg.OperationalError(self.failure)
        try:
            connection = await self._connect(self._settings | settings)
        except psycopg.Error as error:
            if not self.failure:
                log.warning("database away: %s", error)
            self.failure = str(error)
            self._pause_ends = loop.time() + PAUSE_SECONDS
            self.sharded = None
            raise
        if self.failure:
            log.warning("database back")
            self.failure = ""
        return connection

    async def _connect(self, settings: dict[str, str]) -> Connection:
        parameters: dict[str, Any] = dict(self._parameters)
        if self.prepare:
            ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
            parameters["options"] = f"{ours} {parameters.get('options', '')}"
        connection = await psycopg.AsyncConnection.connect(
            make_conninfo(**parameters), autocommit=True, prepare_threshold=0 if self.prepare else None
        )
        try:
            if not self.prepare:
                await connection.execute("SET timezone = 'UTC'")
            if self.sharded is None:
                cursor = await connection.execute(named(SHARDED), prepare=False)
                self.sharded = (await cursor.fetchone()) == (True,)
        except BaseException:
            await connection.close()
            raise
        # psycopg would pick int2, int4 or int8 by value, and each choice is another prepared statement.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        # As text, a list would take its type from the first list of the statement, however small its numbers.
        connection.adapters.register_dumper(list, ListBinaryDumper)
        return connection


class Connected(psycopg.AsyncConnection[Any]):
    """A connection as the pool makes it: the Connector's."""

    @classmethod
    async def connect(cls, conninfo: str = "", *, connector: Connector, **_: Any) -> Connection:  # type: ignore[override]
        return await connector.open()


class Pool(AsyncConnectionPool[Connection]):
    """psycopg's pool; but a task that waits for a connection hears at once that none can be made.

    Raises psycopg.OperationalError: TooManyRequests when too many wait, PoolTimeout after `timeout` seconds."""

    def __init__(self, connector: Connector, *, least: int, most: int, timeout: float) -> None:
        super().__init__(
            connection_class=Connected,
            kwargs={"connector": connector},
            min_size=least,
            max_size=most,
            open=False,
            check=self._look,
            timeout=timeout,
            max_waiting=MOST_WAITING,
            reconnect_timeout=0,
        )
        self._connector = connector

    @property
    def sharded(self) -> bool:
        """Whether its connections lead to a cluster."""
        return bool(self._connector.sharded)

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[Connection]:  # noqa: ASYNC109
        """Lends a connection that is alive as far as its socket tells."""
        async with super().connection(timeout) as connection:
            try:
                yield connection
            except psycopg.Error as error:
                if error.sqlstate in STALE or out_of_step(error):
                    await connection.close()
                raise

    async def reconnect_failed(self) -> None:
        """Refuses the tasks that wait: no connection can be made."""
        while self._waiting and not self._nconns:
            await self._waiting.popleft().fail(psycopg.OperationalError(self._connector.failure))

    async def _look(self, connection: Connection) -> None:
        try:
            for _ in range(LOOKS):
                connection.pgconn.consume_input()
        except psycopg.OperationalError:
            await self.drain()  # what ended this one ended the other idle ones too
            raise
