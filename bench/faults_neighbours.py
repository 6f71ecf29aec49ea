"""Faults of locks, of a slow or paused server, and of another account: the crowd's own promises hold meanwhile."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import httpx
import psycopg

from bench.api import PASSWORD, person
from bench.faults import Stage
from bench.ledger import Crowd, Ledger
from bench.nodes import Node

SALES = 200_000  # of an account that is deleted
MODES = (  # of LOCK TABLE, from the weakest to the strongest
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
KEPT = "SELECT venta, count(*) FROM venta WHERE usuario_id = {id} AND venta > 0 GROUP BY venta"


async def row_locked(stage: Stage) -> None:
    """Somebody holds a user's row from psql, while that user sells as fast as the crowd does."""
    async with _neighbour(stage) as id:
        await _held(stage, f"SELECT 1 FROM usuario WHERE id = {id} FOR UPDATE")


async def deletion_uncommitted(stage: Stage) -> None:
    """Somebody has deleted a user from psql, and takes it back."""
    async with _neighbour(stage) as id:
        await _held(
            stage, f"DELETE FROM venta WHERE usuario_id = {id}", f"DELETE FROM usuario WHERE id = {id}"
        )


async def _held(stage: Stage, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(stage.place.database.conninfo) as connection:
        for statement in statements:
            await connection.execute(statement.encode())
        await asyncio.sleep(stage.seconds)
        await connection.rollback()
    stage.heal()


async def tables_locked(stage: Stage) -> None:
    """Users and sales are locked from psql, in one mode after the other."""
    for mode in MODES:
        async with await psycopg.AsyncConnection.connect(stage.place.database.conninfo) as connection:
            await connection.execute(f"LOCK TABLE usuario, venta IN {mode} MODE".encode())
            await asyncio.sleep(stage.seconds / len(MODES))
            await connection.rollback()
    stage.heal()


async def postgres_paused(stage: Stage) -> None:
    """Every process of PostgreSQL stands still (SIGSTOP), connections and all."""
    with _paused(stage.place.database):
        await asyncio.sleep(stage.seconds)
    stage.heal()


async def standby_paused(stage: Stage) -> None:
    """The synchronous standby stands still: no commit is confirmed meanwhile."""
    assert stage.place.standby
    with _paused(stage.place.standby):
        await asyncio.sleep(stage.seconds)
    stage.heal()


@contextmanager
def _paused(node: Node) -> Iterator[None]:
    pids = [pid for (pid,) in node.execute("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")]
    pids.append(node.pid)
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def disk_slow(stage: Stage) -> None:
    """Each commit takes 50 ms more."""
    database = stage.place.database
    for setting in ("commit_delay = 50000", "commit_siblings = 0"):
        database.execute(f"ALTER SYSTEM SET {setting}")
    database.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(stage.seconds)
    database.execute("ALTER SYSTEM RESET ALL")
    database.execute("SELECT pg_reload_conf()")
    stage.heal()


async def trickling_imports(stage: Stage) -> None:
    """One account sends five files that trickle, each with a key, and hangs up before any is whole."""
    token, id = await _registered(stage)
    with ExitStack() as stack:
        clients = []
        for number in range(5):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", stage.api.port)))
            head = (
                "POST /venta/importar HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 9999999\r\n"
                f"Authorization: Bearer {token}\r\nIdempotency-Key: archivo-{number}\r\n\r\nventa,ventas_productos\n"
            )
            client.sendall(head.encode())
            clients.append(client)
        for _ in range(20):
            for client in clients:
                client.sendall(b"1,1\n" * 100)
            await asyncio.sleep(stage.seconds / 20)
    if kept := stage.place.database.execute(KEPT.format(id=id)):
        stage.wrong[f"sales of files that were not whole: {kept}"] += 1
    stage.made += len(clients)
    stage.heal()


async def large_account_deleted(stage: Stage) -> None:
    """An admin deletes an account with many sales, which goes on selling."""
    token = await asyncio.to_thread(stage.api.token)
    async with _neighbour(stage, {"503", "401", "404"}, deleted=True) as id:
        stage.place.database.execute(
            "INSERT INTO venta (usuario_id, venta, ventas_productos)"
            f" SELECT {id}, 0, 1 FROM generate_series(1, {SALES})"
        )
        async with httpx.AsyncClient(base_url=stage.api.url, timeout=30) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.delete(f"/user/{id}", headers=headers)
            stage.wrong.update([f"DELETE answered {answer.status_code}"] * (answer.status_code != 200))
            shown = await client.get(f"/user/{id}", headers=headers)
            stage.wrong.update([f"GET answered {shown.status_code}"] * (shown.status_code != 404))
        await asyncio.sleep(stage.seconds)
    stage.heal()


@asynccontextmanager
async def _neighbour(
    stage: Stage, allowed: frozenset[str] | set[str] = frozenset({"503"}), *, deleted: bool = False
) -> AsyncIterator[int]:
    """Another account with a crowd of its own, for the length of the block, and its id; its promises count too."""
    token, id = await _registered(stage)
    ledger = Ledger()
    async with Crowd(stage.api.url, token, ledger):
        yield id
    stage.made += ledger.requests
    lost, doubled = ledger.verdict(dict(stage.place.database.execute(KEPT.format(id=id))))
    troubles = {what for _, what in ledger.troubles} - set(allowed)
    stage.wrong.update(f"the neighbour's {what}" for what in [*troubles, *ledger.wrong[:5]])
    if doubled or (lost and not deleted):
        stage.wrong[f"of the neighbour's sales {lost} lost, {doubled} doubled"] += 1


async def _registered(stage: Stage) -> tuple[str, int]:
    """The token and id of a new account."""
    async with httpx.AsyncClient(base_url=stage.api.url, timeout=30) as client:
        made = (await client.post("/user/", json=person("beto"))).raise_for_status()
        form = {"username": "beto", "password": PASSWORD}
        entered = (await client.post("/login/", data=form)).raise_for_status()
        return entered.json()["access_token"], made.json()["id"]
