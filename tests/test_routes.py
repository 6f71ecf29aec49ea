"""On a cluster each asker has a statement of their own, many to a round trip; here on a plain PostgreSQL."""

import asyncio

import pytest
from databases import Open, Rows, row, until
from test_batching import kill, outcomes
from test_sharded import NODE

from core.database import pool, routes
from core.database.database import Database
from core.problems import ConstraintViolated, DatabaseUnavailable

pytestmark = pytest.mark.anyio

MANY = "SELECT 1 AS n"  # what a plain database would be asked
SALE = "SELECT id, usuario_id FROM venta WHERE usuario_id = %(owner)s AND id = %(id)s"
SELL = """
INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (%(owner)s, %(amount)s, 1) RETURNING id
"""
SLEEP = "SELECT %(key)s::bigint FROM pg_sleep(%(ms)s::bigint / 1000.0)"
SLEEP_THEN_SELL = """
INSERT INTO venta (usuario_id, venta, ventas_productos)
SELECT %(owner)s::bigint, 1, 1 FROM pg_sleep(0.3) RETURNING id
"""


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SHARDED", "SELECT true")
    monkeypatch.setattr(routes, "NODE", NODE)


@pytest.fixture
async def db(opened: Open) -> Database:
    db = await opened()
    await db.run("SELECT 1")  # whose connection sees a cluster
    return db


def batches(db: Database) -> int:
    return sum(lane.sizes.total() for lane in db.routes.lanes.values())


async def test_each_asker_gets_their_own_row(db: Database, users: list[int]) -> None:
    found = await asyncio.gather(*(db.gather(row, MANY, SALE, owner=id, id=id) for id in users))

    assert found == [(id, id) for id in users]
    assert await db.gather(row, MANY, SALE, owner=users[0], id=users[1]) is None


async def test_statements_of_one_moment_share_a_round_trip_and_a_connection_of_their_node(
    db: Database, users: list[int]
) -> None:
    for id in users:
        await db.gather(row, MANY, SALE, owner=id, id=id)
    before = batches(db)

    await asyncio.gather(*(db.gather(row, MANY, SALE, owner=id, id=id) for id in users))

    assert batches(db) == before + 2
    assert sorted(db.routes.lanes) == ["node 0 reads", "node 1 reads"]


async def test_a_statement_that_fails_harms_none_behind_it(
    db: Database, users: list[int], rows: Rows
) -> None:
    owners = [users[1], -1, users[3], -3, users[5]]

    found = await outcomes(*(db.gather(int, MANY, SELL, owner=owner, amount=1) for owner in owners))

    assert [isinstance(each, ConstraintViolated) for each in found] == [False, True, False, True, False]
    assert rows("SELECT usuario_id FROM venta WHERE id > 1000 ORDER BY usuario_id") == [
        (o,) for o in owners[::2]
    ]


async def test_a_change_that_fails_at_its_commit_is_not_acknowledged(
    db: Database, users: list[int], rows: Rows
) -> None:
    rows("ALTER TABLE venta ALTER CONSTRAINT venta_usuario_id_fkey DEFERRABLE INITIALLY DEFERRED")

    bad, good = await outcomes(
        *(db.gather(int, MANY, SELL, owner=owner, amount=1) for owner in (-1, users[0]))
    )

    assert isinstance(bad, ConstraintViolated)
    assert rows("SELECT id, usuario_id FROM venta WHERE id > 1000") == [(good, users[0])]


async def test_a_node_that_is_slow_holds_up_no_other(db: Database, users: list[int]) -> None:
    slow = [asyncio.ensure_future(db.gather(int, MANY, SLEEP, key=1, ms=1000)) for _ in range(2)]
    await until(lambda: batches(db) == 1)

    assert await db.gather(row, MANY, SLEEP, key=2, ms=0)

    assert not any(each.done() for each in slow)
    assert await asyncio.gather(*slow) == [1, 1]


async def test_a_node_that_says_nothing_is_told_to_those_who_ask_it(opened: Open) -> None:
    db = await opened(timeout=0.3)
    await db.run("SELECT 1")

    found = await outcomes(*(db.gather(int, MANY, SLEEP, key=1, ms=60_000) for _ in range(3)))

    assert [error.kind.codigo for error in found] == ["bd_lenta"] * 3  # type: ignore[attr-defined]
    assert await db.gather(row, MANY, SLEEP, key=1, ms=0)


async def test_reads_whose_connection_dies_are_repeated(db: Database, rows: Rows) -> None:
    slow = [asyncio.ensure_future(db.gather(int, MANY, SLEEP, key=1, ms=200)) for _ in range(3)]
    await until(lambda: kill(rows, "%pg_sleep(%", asleep=True))

    assert await asyncio.gather(*slow) == [1] * 3


async def test_changes_whose_connection_dies_are_not_repeated(
    db: Database, rows: Rows, users: list[int]
) -> None:
    slow = [asyncio.ensure_future(db.gather(int, MANY, SLEEP_THEN_SELL, owner=users[0])) for _ in range(3)]
    await until(lambda: kill(rows, "%pg_sleep(%", asleep=True))

    assert all(isinstance(error, DatabaseUnavailable) for error in await outcomes(*slow))
    assert rows("SELECT count(*) FROM venta WHERE id > 1000") == [(0,)]


async def test_reads_planned_for_an_older_schema_are_repeated(db: Database, rows: Rows) -> None:
    rows("CREATE TABLE edad AS SELECT 1::bigint AS id, 40 AS edad")
    ask = "SELECT edad FROM edad WHERE id = %(id)s"
    assert await db.gather(row, MANY, ask, id=1) == (40,)

    rows("ALTER TABLE edad ALTER COLUMN edad TYPE text")

    assert await asyncio.gather(*(db.gather(row, MANY, ask, id=1) for _ in range(3))) == [("40",)] * 3


async def test_without_lanes_each_goes_alone(opened: Open, users: list[int]) -> None:
    db = await opened(coalesce=False)
    await db.run("SELECT 1")

    assert await db.gather(row, MANY, SALE, owner=users[0], id=users[0]) == (users[0], users[0])
    assert not db.routes.lanes
