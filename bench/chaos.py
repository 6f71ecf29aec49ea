"""Faults under load: each for seconds, against real processes, with every promise counted afterwards."""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import httpx
import psycopg

from bench import page
from bench.api import PASSWORD, ROOT, Api
from bench.faults_host import Unavailable, filled, node_on, small_disk
from bench.ledger import Crowd, Ledger
from bench.nodes import Node, node, standby_of, url_of
from core import migration_guard

USUAL = {"200", "201"}
AWAY = USUAL | {"503"}


@dataclass
class Stage:
    """What a fault acts on; `healed` is when the last thing it broke was there again."""

    api: Api
    database: Node
    standby: Node | None
    seconds: float
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
    stage.database.kill()
    await asyncio.to_thread(stage.database.start)
    stage.heal()


async def postgres_restarted(stage: Stage) -> None:
    await asyncio.to_thread(stage.database.stop, "fast")
    await asyncio.to_thread(stage.database.start)
    stage.heal()


async def failover(stage: Stage) -> None:
    """The primary dies; its synchronous standby takes over, and the API finds it by itself."""
    assert stage.standby
    stage.database.kill()
    stage.database = stage.standby
    await asyncio.to_thread(stage.database.promote)
    stage.database.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
    stage.database.execute("SELECT pg_reload_conf()")
    stage.heal()


async def pool_exhausted(stage: Stage) -> None:
    """Nobody can write or read sales: every connection waits for a lock."""
    connection = await psycopg.AsyncConnection.connect(stage.database.conninfo)
    async with connection:
        await connection.execute("LOCK TABLE venta IN ACCESS EXCLUSIVE MODE")
        await asyncio.sleep(stage.seconds)
    stage.heal()


async def connections_cut(stage: Stage) -> None:
    """Every connection to the database is cut, again and again."""
    for _ in range(5):
        stage.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ventas%'"
        )
        await asyncio.sleep(stage.seconds / 5)
    stage.heal()


async def slow_clients(stage: Stage) -> None:
    """Fifty clients send a header or a body byte by byte, and never end."""
    lines = (
        b"POST /login/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"
    )
    with ExitStack() as stack:
        for number in range(50):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", stage.api.port)))
            client.sendall(lines[: len(lines) - number])
        await asyncio.sleep(stage.seconds)
    stage.heal()


async def endless_bodies(stage: Stage) -> None:
    """Four clients send a body without end."""

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    async def send() -> None:
        async with httpx.AsyncClient(timeout=stage.seconds) as client:
            with suppress(httpx.HTTPError):
                json = {"Content-Type": "application/json"}
                await client.post(f"{stage.api.url}/login/", content=chunks(), headers=json)

    await asyncio.gather(*(send() for _ in range(4)))
    stage.heal()


async def logins(stage: Stage) -> None:
    """Sixteen log in at once."""
    async with httpx.AsyncClient(base_url=stage.api.url, timeout=60) as client:
        form = {"username": "ana", "password": PASSWORD}
        answers = await asyncio.gather(*(client.post("/login/", data=form) for _ in range(16)))
    if any(answer.status_code != 200 for answer in answers):
        raise RuntimeError(f"logins: {[answer.status_code for answer in answers]}")
    stage.heal()


async def migrations_at_once(stage: Stage) -> None:
    """Two releases migrate at the same time, under load."""
    command = [sys.executable, "app.py", "migrate"]
    environ = {"PATH": os.defpath, "DATABASE_URL": url_of(stage.database)}
    two = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    if codes := [code for code in [await one.wait() for one in two] if code]:
        raise RuntimeError(f"migrate ended with {codes}")
    stage.heal()


async def disk_full(stage: Stage) -> None:
    """Not a byte is left where PostgreSQL keeps its data."""
    with filled(stage.database.folder):
        await asyncio.sleep(stage.seconds)
    stage.heal()


@dataclass(frozen=True)
class Case:
    """A fault, and what clients may see of it besides success."""

    fault: Fault
    allowed: frozenset[str]
    standby: bool = False
    small: bool = False  # the database is on a small disk


GONE = frozenset(AWAY | {"none"})
CASES = {
    "kill -9 of the API": Case(api_killed, GONE),
    "SIGTERM of the API": Case(api_terminated, GONE),
    "kill -9 of PostgreSQL": Case(postgres_killed, frozenset(AWAY)),
    "restart of PostgreSQL": Case(postgres_restarted, frozenset(AWAY)),
    "failover to a synchronous standby": Case(failover, frozenset(AWAY), standby=True),
    "every connection cut, five times": Case(connections_cut, frozenset(AWAY)),
    "disk full": Case(disk_full, frozenset(AWAY), small=True),
    "pool exhausted behind a lock": Case(pool_exhausted, frozenset(AWAY)),
    "fifty slow clients": Case(slow_clients, frozenset(USUAL)),
    "bodies that never end": Case(endless_bodies, frozenset(USUAL)),
    "sixteen logins at once": Case(logins, frozenset(USUAL)),
    "two releases migrating at once": Case(migrations_at_once, frozenset(USUAL)),
}


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    requests: int
    acknowledged: int
    lost: int
    doubled: int
    unexpected: str
    seconds: float

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.unexpected) and self.seconds < 30

    def __str__(self) -> str:
        cells = (
            self.name,
            self.requests,
            self.acknowledged,
            self.lost,
            self.doubled,
            self.unexpected or "none",
        )
        return "| " + " | ".join(map(str, cells)) + f" | {self.seconds:.2f} |"


HEAD = """\
| fault | requests | acknowledged sales | lost | doubled | unexpected | seconds to recover |
|---|---|---|---|---|---|---|"""


async def try_out(name: str, case: Case, seconds: float) -> Row:
    """One fault, with `seconds` of load before it and after it."""
    with ExitStack() as stack:
        database, standby = stack.enter_context(_databases(case))
        nodes = [database, standby] if standby else [database]
        api = Api(url_of(*nodes, target_session_attrs="read-write"))
        await asyncio.to_thread(api.start)
        stack.callback(api.kill)
        stage, ledger = Stage(api, database, standby, seconds), Ledger()
        async with Crowd(api.url, api.token(), ledger):
            await asyncio.sleep(seconds)
            await case.fault(stage)
            await asyncio.sleep(seconds + 2)
        kept = dict(stage.database.execute("SELECT venta, count(*) FROM venta GROUP BY venta"))
        lost, doubled = ledger.verdict(kept)
        unexpected = ", ".join(ledger.unexpected(set(case.allowed)))
        return Row(
            name,
            ledger.requests,
            len(ledger.promised),
            lost,
            doubled,
            unexpected,
            ledger.recovery(stage.healed),
        )


@contextmanager
def _databases(case: Case) -> Iterator[tuple[Node, Node | None]]:
    """A migrated primary and, if asked for, a standby without which it confirms nothing."""
    with ExitStack() as stack:
        if case.small:
            primary = stack.enter_context(node_on(stack.enter_context(small_disk())))
        else:
            primary = stack.enter_context(node())
        migration_guard.apply(url_of(primary), say=lambda line: None)
        standby = None
        if case.standby:
            standby = stack.enter_context(standby_of(primary))
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            primary.execute("SELECT pg_reload_conf()")
        yield primary, standby


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="Break things under load and count what was lost. Ends with 1 when anything was.",
    )
    parser.add_argument("--seconds", type=float, default=4, help="of load before and after each fault (4)")
    parser.add_argument("--only", metavar="WORDS", help="only the faults whose name has these words")
    parser.add_argument("--save", action="store_true", help="write the table to docs/reliability.md")
    parser.add_argument("--list", action="store_true", help="name the faults")
    chosen = parser.parse_args()
    names = [name for name in CASES if (chosen.only or "") in name]
    if chosen.list:
        print(*names, sep="\n")
        return 0
    print(HEAD, flush=True)
    rows = []
    for name in names:
        try:
            rows.append(asyncio.run(try_out(name, CASES[name], chosen.seconds)))
        except Unavailable as lack:
            print(f"{name}: not tried: {lack}", file=sys.stderr)
        else:
            print(rows[-1], flush=True)
    if chosen.save:
        page.save("chaos", "\n".join([HEAD, *map(str, rows)]))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
