"""Lanes that nothing holds up: who must wait, for a row, a table or a slow answer, waits apart from the others."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import psycopg
import pytest
from conftest import problem
from databases import Open, Rows, row, until
from test_batching import SALE, SLEEP, SLEEP_THEN_SELL, USER, batches, outcomes

from core.database.database import Database
from core.problems import DatabaseUnavailable
from sql import ventas

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def locked(
    database: str, statement: str, *parameters: object
) -> AsyncIterator[psycopg.AsyncConnection]:
    """A transaction of somebody else, as from psql, that has run a statement and does not end."""
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await connection.execute(statement, parameters)
        yield connection
        await connection.rollback()


def sell(db: Database, owner: int) -> asyncio.Future[int | None]:
    return asyncio.ensure_future(ventas.insert(db, owner, 1, 1))


LOCKS = ["SELECT FROM usuario WHERE id = %s FOR UPDATE", "DELETE FROM usuario WHERE id = %s"]


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_locked_owner_holds_up_nobody_else(
    db: Database,
    database: str,
    users: list[int],
    lock: str,
) -> None:
    async with locked(database, lock, users[0]) as blocker:
        held = [sell(db, users[0]) for _ in range(10)]
        for _ in range(20):
            assert all(await asyncio.gather(*(sell(db, owner) for owner in users[1:20])))
        assert not any(sale.done() for sale in held)
        await blocker.rollback()

    assert len(set(await asyncio.gather(*held))) == 10


async def test_sales_of_an_owner_who_goes_meanwhile_have_none(
    db: Database,
    database: str,
    users: list[int],
) -> None:
    async with locked(database, LOCKS[1], users[0]) as blocker:
        held = [sell(db, users[0]) for _ in range(3)]
        assert await sell(db, users[1])
        await blocker.commit()

    assert await asyncio.gather(*held) == [None] * 3


async def test_two_locked_owners_do_not_wait_for_each_other(
    db: Database,
    database: str,
    users: list[int],
) -> None:
    async with locked(database, LOCKS[0], users[0]):
        first = sell(db, users[0])
        async with locked(database, LOCKS[0], users[1]):
            second = sell(db, users[1])
            assert await sell(db, users[2])
        assert await second
        assert not first.done()

    assert await first


async def test_it_refuses_what_is_too_much_of_one_owner(
    db: Database,
    database: str,
    users: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.database.held.MOST_OF_ONE", 4)
    async with locked(database, LOCKS[0], users[0]):
        first = sell(db, users[0])
        await until(lambda: db.rooms["held"].inside)
        refused, waiting = await asyncio.wait([sell(db, users[0]) for _ in range(10)], timeout=0.1)

    errors = [each.exception() for each in refused]
    assert [error.kind.codigo for error in errors if isinstance(error, DatabaseUnavailable)] == [
        "servidor_ocupado"
    ] * 6
    assert all([await first, *await asyncio.gather(*waiting)])


MODES = ["ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_locked_table_holds_up_only_what_needs_it(
    db: Database,
    database: str,
    users: list[int],
    mode: str,
) -> None:
    await sell(db, users[0])
    async with locked(database, f"LOCK TABLE usuario IN {mode} MODE"):
        waiting = [sell(db, owner) for owner in users[:5]]
        waiting += [asyncio.ensure_future(db.gather(row, USER, id=id)) for id in users[:5]]  # type: ignore[misc]
        for _ in range(20):
            assert await db.gather(row, SALE, id=users[0], owner=users[0])

    assert all(await asyncio.gather(*waiting))


async def test_who_waits_for_a_lock_too_long_is_told(opened: Open, database: str, users: list[int]) -> None:
    db = await opened(timeout=0.5)
    async with locked(database, "LOCK TABLE usuario"):
        found = await outcomes(sell(db, users[0]), sell(db, users[1]), db.gather(row, USER, id=users[0]))

    assert [error.kind.codigo for error in found] == ["bd_lenta"] * 3  # type: ignore[attr-defined]
    assert await sell(db, users[0])


async def test_the_log_tells_who_holds_the_lock(
    db: Database,
    database: str,
    users: list[int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "ventas.database"):
        async with locked(database, LOCKS[0], users[0]) as blocker:
            pid = blocker.info.backend_pid
            held = sell(db, users[0])
            await until(lambda: caplog.messages)

    assert caplog.messages[0] == f"ventas.insert waits for a lock of the processes [{pid}]"
    assert await held


async def test_a_slow_statement_holds_up_nobody_behind_it(db: Database, users: list[int]) -> None:
    slow = asyncio.ensure_future(db.gather(int, SLEEP, ms=1500))
    await until(lambda: batches(db, "reads") == 2)
    for id in users[:20]:
        assert (await db.gather(row, USER, id=id))[0] == id

    assert not slow.done()
    assert await slow == 1500
    assert await db.gather(row, USER, id=users[0])
    assert db.rooms["held"].inside == 0


async def test_a_slow_change_is_done_once(db: Database, users: list[int], rows: Rows) -> None:
    slow = [asyncio.ensure_future(db.gather(int, SLEEP_THEN_SELL, owner=owner)) for owner in users[:3]]
    await asyncio.sleep(0)
    assert all(await asyncio.gather(*(sell(db, owner) for owner in users[:10])))

    assert await asyncio.gather(*slow) == users[:3]
    assert rows("SELECT count(*) FROM venta WHERE id > 1000") == [(13,)]


async def test_a_connection_borrowed_in_vain_goes_back(db: Database, users: list[int]) -> None:
    slow = asyncio.ensure_future(db.gather(int, SLEEP, ms=600))
    await until(lambda: batches(db, "reads") == 2)
    gone = asyncio.ensure_future(db.gather(int, SLEEP, ms=0))
    await asyncio.sleep(0)
    gone.cancel()
    await until(lambda: db.rooms["held"].inside == 1)

    assert await slow == 600
    await until(lambda: db.rooms["held"].inside == 0)


async def test_it_closes_once_a_slow_statement_is_answered(opened: Open) -> None:
    db = await opened()
    slow = asyncio.ensure_future(db.gather(int, SLEEP, ms=600))
    await until(lambda: batches(db, "reads") == 2)
    behind = asyncio.ensure_future(db.gather(int, SLEEP, ms=0))
    await db.close()

    assert await asyncio.gather(slow, behind) == [600, 0]


def test_an_owner_whose_row_is_locked_is_told_and_others_sell(
    connect: Callable[..., httpx.Client],
    ana: httpx.Client,
    beto: httpx.Client,
    carla: httpx.Client,
    database: str,
) -> None:
    with psycopg.connect(database) as blocker:
        blocker.execute(LOCKS[0], [beto.id])  # type: ignore[attr-defined]
        answer = beto.post("/venta/", json={"venta": 1, "ventas_productos": 1})
        problem(answer, 503, "bd_lenta")
        assert answer.headers["retry-after"] == "1"
        assert carla.post("/venta/", json={"venta": 1, "ventas_productos": 1}).status_code == 201
