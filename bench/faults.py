"""Faults of processes, the database and the machine, each for seconds."""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import jwt
import psycopg

from bench.api import ApiProcess
from bench.fault_sites import FaultSite
from bench.faults_host import filled
from bench.nodes import url_of
from core.checkout import CHECKOUT


@dataclass
class Stage:
    """What a fault acts on, how long, and what it saw; `healed` is when the last thing it broke was there again."""

    api: ApiProcess
    place: FaultSite
    seconds: float
    requests: int  # for faults that are made of requests
    made: int = 0  # of these
    wrong: Counter[str] = field(default_factory=Counter)  # answers to these that no promise covers
    healed: float = 0.0

    def heal(self) -> None:
        self.healed = time.monotonic()


Fault = Callable[[Stage], Awaitable[None]]


async def api_killed(stage: Stage) -> None:
    stage.api.kill()
    await asyncio.to_thread(stage.api.start)
    stage.heal()


async def api_terminated(stage: Stage) -> None:
    await asyncio.to_thread(stage.api.terminate)
    await asyncio.to_thread(stage.api.start)
    stage.heal()


async def postgres_killed(stage: Stage) -> None:
    stage.place.database.kill()
    await asyncio.to_thread(stage.place.database.start)
    stage.heal()


async def postgres_restarted(stage: Stage) -> None:
    await asyncio.to_thread(stage.place.database.stop, "fast")
    await asyncio.to_thread(stage.place.database.start)
    stage.heal()


async def failover(stage: Stage) -> None:
    """The primary dies; its synchronous standby takes over, and the API finds it by itself."""
    assert stage.place.standby
    stage.place.database.kill()
    stage.place.database = stage.place.standby
    await asyncio.to_thread(stage.place.database.promote)
    stage.place.database.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
    stage.place.database.execute("SELECT pg_reload_conf()")
    stage.heal()


async def pgbouncer_killed(stage: Stage) -> None:
    assert stage.place.pooler
    stage.place.pooler.kill()
    await asyncio.to_thread(stage.place.pooler.start)
    stage.heal()


async def pool_exhausted(stage: Stage) -> None:
    """Nobody can write or read sales: every connection waits for a lock."""
    connection = await psycopg.AsyncConnection.connect(stage.place.database.conninfo)
    async with connection:
        await connection.execute("LOCK TABLE venta IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(stage.seconds)
    stage.heal()


async def connections_cut(stage: Stage) -> None:
    """Every connection to the database is cut, again and again."""
    for _ in range(5):
        stage.place.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ventas%'"
        )
        await asyncio.sleep(stage.seconds / 5)
    stage.heal()


async def migrations_at_once(stage: Stage) -> None:
    """Two releases migrate at the same time, under load."""
    command = [sys.executable, "app.py", "migrate"]
    environ = {"PATH": os.defpath, "DATABASE_URL": url_of(stage.place.database)}
    two = [
        await asyncio.create_subprocess_exec(
            *command, cwd=CHECKOUT, env=environ, stdout=asyncio.subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    if codes := [code for code in [await one.wait() for one in two] if code]:
        raise RuntimeError(f"migrate ended with {codes}")
    stage.heal()


async def disk_full(stage: Stage) -> None:
    """Not a byte is left where PostgreSQL keeps its data."""
    with filled(stage.place.database.folder):
        await asyncio.sleep(stage.seconds)
    stage.heal()


async def log_full(stage: Stage) -> None:
    """Nor for its log (WAL), which has to grow: PostgreSQL panics, and is started again once there is room."""
    database = stage.place.database
    with filled(database.folder):
        await asyncio.to_thread(_use_up_log, stage)
        await asyncio.sleep(stage.seconds)
    await asyncio.to_thread(database.ensure)
    stage.heal()


def _use_up_log(stage: Stage) -> None:
    """Asks for one file of the log after the other, until there is none. Raises RuntimeError if it does not panic."""
    database = stage.place.database
    for _ in range(100):
        try:
            database.execute("SELECT pg_logical_emit_message(false, 'chaos', ''), pg_switch_wal()")
        except psycopg.OperationalError:
            break
    if "PANIC" not in database.log:
        raise RuntimeError("PostgreSQL did not panic")


async def clock_jumped(stage: Stage) -> None:
    """The API's clock goes hours ahead, then hours back, while PostgreSQL's goes on."""

    async def issued() -> float:
        token = await asyncio.to_thread(stage.api.token)
        return float(jwt.decode(token, options={"verify_signature": False})["iat"])

    await _jump(stage, issued)


async def clock_of_postgres_jumped(stage: Stage) -> None:
    """PostgreSQL's, while the API's goes on."""

    async def now() -> float:
        return float(stage.place.database.execute("SELECT extract(epoch FROM now())")[0][0])

    await _jump(stage, now)


async def _jump(stage: Stage, clock: Callable[[], Awaitable[float]]) -> None:
    """Raises RuntimeError when the clock does not tell what it was set to."""
    assert stage.place.clock
    for hours in (10, -10, 0):
        stage.place.clock.jump(f"{hours:+}h")
        if abs(await clock() - time.time() - hours * 3600) > 60:
            raise RuntimeError("the clock did not jump")
        await asyncio.sleep(stage.seconds / 3)
    stage.heal()
