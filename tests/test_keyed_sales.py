"""Keyed sales: key, sale and answer are one statement, which those who ask at once share, and which never waits."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from databases import Open, Rows
from test_batching import batches, outcomes
from test_held import LOCKS, locked

from core.database.database import Database
from core.problems import ConstraintViolated, DatabaseUnavailable
from sql import idempotencia, ventas_once
from sql.idempotencia import UNKNOWN_ID, Claim, Guardada, KeyTaken

pytestmark = pytest.mark.anyio

HELD = "INSERT INTO idempotencia (usuario_id, clave) VALUES (%s, 'k')"


def claim(user: int, key: str = "k") -> Claim:
    body = f'{{"id":{UNKNOWN_ID}}}'.encode()
    return Claim(user, key, Guardada(b"h" * 32, 201, [("location", f"/venta/{UNKNOWN_ID}")], body))


def sell(
    db: Database, user: int, key: str = "k", seller: int | None = None, venta: int = 1
) -> asyncio.Future:
    return asyncio.ensure_future(ventas_once.insert(db, claim(user, key), seller or user, venta, 1))


def sold(rows: Rows) -> int:
    return rows("SELECT count(*) FROM venta WHERE id > 1000")[0][0]


async def test_those_that_come_together_share_a_round_trip(
    db: Database, users: list[int], rows: Rows
) -> None:
    await sell(db, users[0], "warm")
    before = batches(db, "writes")

    ids = await asyncio.gather(*(sell(db, user) for user in users))

    assert batches(db, "writes") == before + 1
    kept = rows(
        "SELECT usuario_id, convert_from(cuerpo, 'UTF8'), cabeceras FROM idempotencia WHERE clave = 'k'"
    )
    assert sorted(kept) == [
        (user, f'{{"id":{id}}}', [["location", f"/venta/{id}"]]) for user, id in zip(users, ids, strict=True)
    ]


@pytest.mark.parametrize("coalesce", [True, False])
async def test_a_key_that_is_taken_makes_no_sale(
    opened: Open, users: list[int], rows: Rows, coalesce: bool
) -> None:
    db = await opened(coalesce=coalesce)
    assert await sell(db, users[0])

    with pytest.raises(KeyTaken):
        await sell(db, users[0])

    assert sold(rows) == 1


async def test_the_same_key_twice_in_a_round_trip_makes_one_sale(
    db: Database, users: list[int], rows: Rows
) -> None:
    found = await outcomes(*(sell(db, users[0]) for _ in range(5)), sell(db, users[1]))

    assert sorted(type(each).__name__ for each in found) == ["KeyTaken"] * 4 + ["int"] * 2
    assert sold(rows) == 2


async def test_a_sale_that_is_refused_keeps_no_key(db: Database, users: list[int], rows: Rows) -> None:
    found = await outcomes(*(sell(db, users[n], venta=venta) for n, venta in enumerate((1, -1, 3))))

    assert [isinstance(each, ConstraintViolated) for each in found] == [False, True, False]
    assert rows("SELECT usuario_id FROM idempotencia ORDER BY 1") == [(users[0],), (users[2],)]


async def test_who_does_not_exist_sells_nothing(db: Database, users: list[int], rows: Rows) -> None:
    rows("INSERT INTO eliminacion (usuario_id) VALUES (%s)", users[1])

    assert await asyncio.gather(sell(db, users[0], seller=-1), sell(db, -1), sell(db, users[1])) == [None] * 3
    assert rows("SELECT count(*) FROM idempotencia") == [(0,)]


async def test_a_key_in_use_holds_up_nobody_else(db: Database, users: list[int], rows: Rows) -> None:
    await sell(db, users[0], "warm")
    async with db.transaction() as tx:
        assert await idempotencia.claim(tx, users[0], "k")
        held = sell(db, users[0])
        for number in range(20):
            keys = (sell(db, user, f"k-{number}") for user in users[:20])
            assert all(await asyncio.gather(*keys))
        assert not held.done()
        answer = claim(users[0]).answer
        await idempotencia.store(tx, users[0], "k", answer)

    with pytest.raises(KeyTaken):
        await held


async def test_a_key_that_was_not_used_after_all_is_there_for_who_waits(
    db: Database, users: list[int]
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await idempotencia.claim(tx, users[0], "k")
            held = sell(db, users[0])
            await sell(db, users[1])
            raise ZeroDivisionError

    assert await held


async def test_a_key_that_somebody_holds_by_hand_holds_up_only_its_own(
    db: Database, database: str, users: list[int]
) -> None:
    await sell(db, users[0], "warm")
    async with locked(database, HELD, users[0]) as blocker:
        held = sell(db, users[0])
        assert all(await asyncio.gather(*(sell(db, user, "other") for user in users[:20])))
        assert not held.done()
        await blocker.rollback()

    assert await held


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_locked_user_holds_up_nobody_else(
    db: Database, database: str, users: list[int], rows: Rows, lock: str
) -> None:
    async with locked(database, lock, users[0]) as blocker:
        held = [sell(db, users[0], f"k-{number}") for number in range(10)]
        for number in range(20):
            assert all(await asyncio.gather(*(sell(db, user, f"k-{number}") for user in users[1:20])))
        assert not any(sale.done() for sale in held)
        await blocker.rollback()

    assert len(set(await asyncio.gather(*held))) == 10


async def test_an_admin_whose_row_is_locked_waits_alone(
    db: Database, database: str, users: list[int]
) -> None:
    async with locked(database, LOCKS[0], users[0]) as blocker:
        held = sell(db, users[0], seller=users[1])
        assert await sell(db, users[1], "mine")
        assert not held.done()
        await blocker.rollback()

    assert await held


async def test_who_waits_too_long_is_told(opened: Open, database: str, users: list[int]) -> None:
    db = await opened(timeout=0.5)
    async with locked(database, HELD, users[0]):
        [error] = await outcomes(sell(db, users[0]))

    assert isinstance(error, DatabaseUnavailable)
    assert error.kind.codigo == "bd_lenta"


def test_the_answer_that_is_kept_is_the_one_that_was_given(
    connect: Callable[..., httpx.Client], beto: httpx.Client
) -> None:
    api = connect(PUBLIC_URL="https://ventas.example/api")
    headers = {"Authorization": beto.headers["authorization"], "Idempotency-Key": "k"}
    first, again = (
        api.post("/venta/", json={"venta": 1, "ventas_productos": 1}, headers=headers) for _ in "12"
    )

    assert first.headers["location"] == f"/api/venta/{first.json()['id']}"
    assert again.content == first.content
    for name in ("content-type", "cache-control", "vary", "location"):
        assert again.headers[name] == first.headers[name]
