"""The database: typed rows from named statements, over a pool of connections and lanes that coalesce."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

from core.database import routes
from core.database.askers import Asker, columns, reads, statement
from core.database.executors import Executor, Pooled, Question, Transaction, execute
from core.database.held import Held, Key, LockNotAvailable
from core.database.instants import Columns
from core.database.lanes import LOCK_NOT_AVAILABLE, Lane
from core.database.naming import name_of, named
from core.database.pipelines import Pipeline
from core.database.pool import Connection, Connector, Pool
from core.database.rooms import KindOfWork, rooms
from core.database.routes import RoutedLane, Routes
from core.database.wire import Wire
from core.problems import DB_POOL, DatabaseUnavailable
from core.trace import account

log = logging.getLogger("ventas.database")

MOST_ROWS, MOST_PAGES, MOST_ROUTED = 128, 8, 32  # askers per batch
LANES = 3
KEPT_PLANS = {  # one made while the tables are small must suit them when they are large
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

LANE_LOCK_TIMEOUT = "50ms"  # a lane waits no longer: an asker who must wait does so apart
TELL_AFTER_SECONDS = 0.15

PATIENCE = """
-- database.patience: how long the statements of this transaction wait for a lock; uses no index
SELECT set_config('lock_timeout', %(milliseconds)s, true)
"""

BLOCKERS = """
-- database.blockers: the processes that hold the lock a connection waits for; uses no index
SELECT unnest(pg_blocking_pids(%(pid)s::integer))
"""

UNKEPT = """
-- database.unkept: keeps no plans where Citus is, which must see the values to know their shards; uses no index
SELECT set_config('plan_cache_mode', 'auto', false)
 WHERE to_regclass('pg_catalog.pg_dist_node') IS NOT NULL
"""

SET = """
-- database.set: settings of a lane, for a connection that it borrows; uses no index
SELECT set_config(name, value, false)
  FROM unnest(%(names)s::text[], %(values)s::text[]) AS setting (name, value)
"""


class Database(Executor):
    """A pool with rooms for kinds of work, and a lane each for reads, pages and writes.

    What runs here is interactive work; for other kinds see work()."""

    def __init__(
        self, url: str, *, pool_min: int, pool_max: int, timeout: float, prepare: bool, coalesce: bool
    ) -> None:
        self._connector = Connector(url, timeout=timeout, prepare=prepare)
        self._timeout = timeout
        coalesces = coalesce and pool_max > LANES
        most = pool_max - LANES * coalesces
        self.pool = Pool(self._connector, least=min(pool_min, most), most=most, timeout=timeout)
        self.rooms = rooms(most, timeout)
        self._pooled = Pooled(self.pool)
        self._held = Held(self._wait_for_lock, timeout=timeout)
        self.lanes: dict[str, Lane] = {}
        self.routes = Routes(self._routed_lane, self._node)
        if coalesces:
            self.lanes = {
                "reads": self._lane(MOST_ROWS, repeats=True),
                "pages": self._lane(MOST_PAGES, repeats=True),
                "writes": self._lane(MOST_ROWS, repeats=False),
            }

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commits when its block ends, rolls back when it raises."""
        async with self.rooms["interactive"].turn(account()), self._pooled.transaction() as tx:
            yield tx

    @asynccontextmanager
    async def work(self, kind: KindOfWork) -> AsyncIterator[Pooled]:
        """Where statements of another kind run, once it is the account's turn. Raises Problem: 429, or 503."""
        async with self.rooms[kind].turn(account()):
            yield self._pooled

    @property
    def sharded(self) -> bool:
        return self.pool.sharded

    async def warm(self) -> None:
        """Connects before the first request needs it; a database that is away is no error yet."""
        with suppress(DatabaseUnavailable):
            await self._gather("reads", "SELECT 1 AS n", {})

    async def close(self) -> None:
        """Lets the lanes finish, then closes every connection."""
        await self.routes.close()
        for lane in self.lanes.values():
            await lane.close()
        await self._held.close()
        await self.pool.close()

    async def _execute(self, sql: str, parameters: Mapping[str, object]) -> tuple[list[Columns], int]:
        async with self.rooms["interactive"].turn(account()):
            return await self._pooled._execute(sql, parameters)

    async def _together(self, asked: Sequence[Question]) -> list[list[Columns]]:
        async with self.rooms["interactive"].turn(account()):
            return await self._pooled._together(asked)

    def _gather(self, lane: str, sql: str, parameters: Mapping[str, object]) -> Awaitable[list[Columns]]:
        if not self.lanes:
            return super()._gather(lane, sql, parameters)
        return self.lanes[lane if reads(sql) else "writes"].ask(statement(sql), parameters)

    async def _routed(self, sql: str, parameters: Mapping[str, object]) -> list[Columns]:
        if not self.lanes:
            return await super()._routed(sql, parameters)
        return await self.routes.ask(sql, parameters)

    async def _node(self, key: object) -> int | None:
        rows = await self._gather("reads", routes.NODE, {"key": key})
        return rows[0][1] if rows else None

    def _lane(self, most: int, *, repeats: bool) -> Lane:
        settings = KEPT_PLANS | {"statement_timeout": f"{self._timeout}s", "lock_timeout": LANE_LOCK_TIMEOUT}
        return Lane(
            partial(self._wire, Wire, settings),
            partial(self._borrow, Wire, settings),
            self._held,
            most=most,
            timeout=self._timeout,
            repeats=repeats,
        )

    def _routed_lane(self, repeats: bool) -> RoutedLane:
        settings = {"statement_timeout": f"{self._timeout}s"}
        return RoutedLane(
            partial(self._wire, Pipeline, settings),
            partial(self._borrow, Pipeline, settings),
            self._held,
            most=MOST_ROUTED,
            timeout=self._timeout,
            repeats=repeats,
        )

    async def _wire(self, kind: type[Wire], settings: dict[str, str]) -> Wire:
        connection = await self._connector.open(**settings)
        if self._connector.prepare:
            await connection.execute(named(UNKEPT))
        return kind(connection, prepare=self._connector.prepare, timeout=self._timeout + 1)

    def _borrow(self, kind: type[Wire], settings: dict[str, str]) -> asyncio.Task[Wire] | None:
        """A connection of the pool for a lane whose own is slow; None while there is no room."""
        if not self.rooms["held"].enter(None):
            return None
        return asyncio.get_running_loop().create_task(self._lend(kind, settings))

    async def _lend(self, kind: type[Wire], settings: dict[str, str]) -> Wire:
        try:
            connection = await self.pool.getconn()
        except BaseException:
            self.rooms["held"].leave(None)
            raise
        try:
            if self._connector.prepare:
                await execute(connection, SET, {"names": [*settings], "values": [*settings.values()]})
                await execute(connection, UNKEPT, {})
        except BaseException:
            self._give_back(connection)
            raise
        return kind(
            connection,
            prepare=self._connector.prepare,
            timeout=self._timeout + 1,
            closed=lambda: self._give_back(connection),
        )

    def _give_back(self, connection: Connection) -> None:
        self.rooms["held"].leave(None)
        self._returning = asyncio.get_running_loop().create_task(self.pool.putconn(connection))

    async def _wait_for_lock(self, key: Key, askers: Sequence[Asker], patience: float) -> list[Columns]:
        """Runs a statement that waits for its locks. Raises LockNotAvailable after `patience` seconds."""
        asked = key[0]
        texts = [column.decode() for column in columns(askers)]
        parameters = dict(zip(asked.names, texts, strict=True))
        try:
            async with self.rooms["held"].turn(key), self._pooled.transaction() as tx:
                await tx.run(PATIENCE, milliseconds=f"{patience * 1000:.0f}ms")
                telling = asyncio.create_task(self._tell_who(asked.patient, tx.connection))
                try:
                    rows, _ = await tx._execute(asked.patient, parameters)
                finally:
                    telling.cancel()
                return rows
        except DatabaseUnavailable as error:
            if getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE or error.kind is DB_POOL:
                raise LockNotAvailable from None
            raise

    async def _tell_who(self, sql: str, connection: Connection) -> None:
        """Logs the processes that hold up a statement."""
        await asyncio.sleep(TELL_AFTER_SECONDS)
        with suppress(DatabaseUnavailable):
            pids = await self.many(int, BLOCKERS, pid=connection.info.backend_pid)
            log.warning("%s waits for a lock of the processes %s", name_of(sql), pids)


Runner = Database | Pooled | Transaction  # what a statement is given to run on


@asynccontextmanager
async def open_database(
    url: str,
    *,
    pool_min: int = 1,
    pool_max: int = 10,
    timeout: float = 3.0,  # noqa: ASYNC109 - how long to wait for the database, not for the block
    prepare: bool = True,
    coalesce: bool = True,
) -> AsyncIterator[Database]:
    """A database for the length of the block, whether or not it can be reached yet.

    `pool_max` counts all its connections, lanes included; `timeout` is in seconds. `prepare=False` is for
    PgBouncer; `coalesce=False` sends each statement alone, as do fewer connections than lanes need."""
    database = Database(
        url, pool_min=pool_min, pool_max=pool_max, timeout=timeout, prepare=prepare, coalesce=coalesce
    )
    await database.pool.open()
    warming = asyncio.create_task(database.warm())
    try:
        yield database
    finally:
        warming.cancel()
        await asyncio.wait([warming])
        await database.close()
