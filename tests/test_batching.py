"""Coalescing: each asker gets its own answer, whoever else is in the batch and whatever happens to it."""

import asyncio
import random
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import pytest
from databases import Open, Rows, row, until

from core.database.database import Database, open_database
from core.problems import ConstraintViolated, DatabaseUnavailable

pytestmark = pytest.mark.anyio

USER = """
SELECT asked.n, u.id, u.username
  FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)
  JOIN usuario AS u ON u.id = asked.id
"""
SALE = """
SELECT asked.n, v.id, v.usuario_id
  FROM unnest(%(id)s::bigint[], %(owner)s::bigint[]) WITH ORDINALITY AS asked (id, owner, n)
  JOIN venta AS v ON v.id = asked.id AND v.usuario_id = asked.owner
"""
PAGE = """
SELECT asked.n, u.id
  FROM unnest(%(after)s::bigint[], %(limit)s::bigint[]) WITH ORDINALITY AS asked (after, "limit", n)
 CROSS JOIN LATERAL (SELECT id FROM usuario WHERE id > asked.after ORDER BY id LIMIT asked."limit") AS u
"""
SELL = """
WITH asked AS (
    SELECT nextval(pg_get_serial_sequence('venta', 'id')) AS id, owner, amount, n
      FROM unnest(%(owner)s::bigint[], %(amount)s::bigint[]) WITH ORDINALITY AS given (owner, amount, n)
      JOIN usuario AS u ON u.id = given.owner
), sold AS (
    INSERT INTO venta (id, usuario_id, venta, ventas_productos)
    SELECT id, owner, amount, 1 FROM asked
)
SELECT n, id FROM asked
"""
SLEEP = """
SELECT asked.n, asked.ms
  FROM unnest(%(ms)s::bigint[]) WITH ORDINALITY AS asked (ms, n), pg_sleep(asked.ms / 1000.0)
"""
SLEEP_THEN_SELL = """
WITH slept AS (
    SELECT owner, n
      FROM unnest(%(owner)s::bigint[]) WITH ORDINALITY AS asked (owner, n), pg_sleep(0.3)
), sold AS (
    INSERT INTO venta (usuario_id, venta, ventas_productos)
    SELECT owner, 1, 1 FROM slept
)
SELECT n, owner FROM slept
"""
ECHO = """
SELECT asked.n, asked.texto, asked.entero, asked.cierto, asked.bytes, asked.momento
  FROM unnest(%(texto)s::text[], %(entero)s::bigint[], %(cierto)s::boolean[], %(bytes)s::bytea[],
              %(momento)s::timestamptz[]) WITH ORDINALITY AS asked (texto, entero, cierto, bytes, momento, n)
"""


def batches(db: Database, lane: str) -> int:
    return db.lanes[lane].sizes.total()


async def outcomes(*askers: Awaitable[object]) -> list[object]:
    return await asyncio.gather(*askers, return_exceptions=True)


async def test_askers_that_come_together_share_a_round_trip(db: Database, users: list[int]) -> None:
    await db.gather(row, USER, id=users[0])
    before = batches(db, "reads")

    found = await asyncio.gather(*(db.gather(row, USER, id=id) for id in users))

    assert found == [(id, f"u{n}") for n, id in enumerate(users, 1)]
    assert batches(db, "reads") == before + 1


async def test_an_asker_without_a_row_gets_none(db: Database, users: list[int]) -> None:
    found = await asyncio.gather(*(db.gather(row, USER, id=id) for id in (users[0], -1, 2**62, users[1])))

    assert [user and user[0] for user in found] == [users[0], None, None, users[1]]


async def test_pages_come_whole_and_in_order(db: Database, users: list[int]) -> None:
    pages = await asyncio.gather(*(db.gather_many(int, PAGE, after=id, limit=3) for id in users))

    assert pages == [users[n : n + 3] for n in range(1, 51)]


@pytest.mark.parametrize("coalesce", [True, False])
async def test_values_arrive_as_they_were_sent(opened: Open, coalesce: bool) -> None:
    db = await opened(coalesce=coalesce)
    moment = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
    texts = [
        "",
        "NULL",
        "null",
        "ñandú 漢字 🎉",
        r"\ \\ \" \n",
        '"',
        "{a,b}",
        "a,b",
        "'",
        " espacios ",
        "\n\t",
    ]
    values = [(text, 7, True, b"\x00\xff\\", moment) for text in texts]
    values += [
        (None, None, None, None, None),
        ("a", -(2**63), False, b"", moment),
        ("b", 2**63 - 1, True, b"a", moment),
    ]
    names = ("texto", "entero", "cierto", "bytes", "momento")

    found = await asyncio.gather(
        *(db.gather(row, ECHO, **dict(zip(names, each, strict=True))) for each in values)
    )

    assert found == values


async def test_a_value_larger_than_the_socket_takes_at_once_arrives_whole(db: Database) -> None:
    rest = {"entero": 1, "cierto": None, "bytes": None, "momento": None}
    text = "ñ" * 4_000_000

    assert await db.gather(row, ECHO, texto=text, **rest) == (text, 1, None, None, None)


async def test_it_sees_what_was_written_before_it_asked(db: Database, users: list[int]) -> None:
    async def sell_and_look(owner: int) -> None:
        for amount in range(10):
            (id,) = await db.gather(row, SELL, owner=owner, amount=amount)
            assert await db.gather(row, SALE, id=id, owner=owner) == (id, owner)

    await asyncio.gather(*(sell_and_look(owner) for owner in users))


async def test_a_bad_row_fails_alone(db: Database, users: list[int], rows: Rows) -> None:
    amounts = [5, -1, 7, 10**16, 9]

    found = await outcomes(*(db.gather(int, SELL, owner=users[0], amount=amount) for amount in amounts))

    assert [isinstance(each, ConstraintViolated) for each in found] == [False, True, False, True, False]
    sold = rows("SELECT id, venta FROM venta WHERE id > 1000 ORDER BY venta")
    assert sold == [(found[0], 5), (found[2], 7), (found[4], 9)]


async def test_a_text_that_utf8_cannot_carry_fails_alone(db: Database) -> None:
    rest = {"entero": 1, "cierto": None, "bytes": None, "momento": None}

    good, bad = await outcomes(*(db.gather(row, ECHO, texto=texto, **rest) for texto in ("a", "\ud800")))

    assert good == ("a", 1, None, None, None)
    assert isinstance(bad, UnicodeEncodeError)


async def test_a_change_that_fails_at_its_commit_is_not_acknowledged(
    db: Database, rows: Rows, users: list[int]
) -> None:
    rows("ALTER TABLE venta ALTER CONSTRAINT venta_usuario_id_fkey DEFERRABLE INITIALLY DEFERRED")
    sell = SELL.replace("JOIN usuario AS u ON u.id = given.owner", "")

    good, bad = await outcomes(*(db.gather(int, sell, owner=owner, amount=1) for owner in (users[0], -1)))

    assert isinstance(bad, ConstraintViolated)
    assert rows("SELECT id, usuario_id FROM venta WHERE id > 1000") == [(good, users[0])]


async def test_a_cancelled_asker_harms_nobody(db: Database, users: list[int]) -> None:
    askers = [asyncio.ensure_future(db.gather(row, USER, id=id)) for id in users]
    await asyncio.sleep(0)
    for asker in askers[::2]:
        asker.cancel()

    found = await outcomes(*askers)

    assert [each[0] for each in found[1::2]] == users[1::2]  # type: ignore[index]
    assert all(isinstance(each, asyncio.CancelledError) for each in found[::2])


async def test_writes_and_pages_do_not_wait_for_reads(db: Database, users: list[int]) -> None:
    slow = asyncio.ensure_future(db.gather(int, SLEEP, ms=2000))
    await until(lambda: batches(db, "reads") == 2)

    await db.gather(int, SELL, owner=users[0], amount=1)
    await db.gather_many(int, PAGE, after=0, limit=3)

    assert not slow.done()
    assert await slow == 2000


async def test_it_refuses_at_once_when_too_many_wait(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.database.lanes.MOST_WAITING", 20)

    found = await outcomes(*(db.gather(int, SLEEP, ms=0) for _ in range(30)))

    assert found[:20] == [0] * 20
    assert [error.kind.codigo for error in found[20:]] == ["servidor_ocupado"] * 10  # type: ignore[attr-defined]


async def test_who_waits_too_long_is_told(opened: Open) -> None:
    db = await opened(timeout=0.3)

    first = asyncio.ensure_future(db.gather(int, SLEEP, ms=60_000))
    await until(lambda: batches(db, "reads") == 2)
    found = await outcomes(first, db.gather(int, SLEEP, ms=60_000), db.gather(row, USER, id=1))

    assert [error.kind.codigo for error in found] == ["bd_lenta"] * 3  # type: ignore[attr-defined]
    assert await db.gather(int, SLEEP, ms=0) == 0


async def test_a_locked_row_holds_up_only_its_own_asker(opened: Open, users: list[int], rows: Rows) -> None:
    db = await opened(timeout=1.5)
    async with db.transaction() as tx:
        await tx.run("SELECT id FROM usuario WHERE id = %(id)s FOR UPDATE", id=users[0])

        found = await outcomes(*(db.gather(int, SELL, owner=owner, amount=1) for owner in users[:3]))

    assert found[0].kind.codigo == "bd_lenta"  # type: ignore[attr-defined]
    assert rows("SELECT id FROM venta WHERE id > 1000 ORDER BY usuario_id") == [(found[1],), (found[2],)]


async def test_a_read_whose_connection_dies_is_repeated(db: Database, rows: Rows) -> None:
    slow = [asyncio.ensure_future(db.gather(int, SLEEP, ms=200)) for _ in range(3)]
    await until(lambda: kill(rows, "%unnest%", asleep=True))

    assert await asyncio.gather(*slow) == [200] * 3


async def test_a_change_whose_connection_dies_is_not_repeated(
    db: Database, rows: Rows, users: list[int]
) -> None:
    slow = [asyncio.ensure_future(db.gather(int, SLEEP_THEN_SELL, owner=owner)) for owner in users[:3]]
    await until(lambda: kill(rows, "%sold%", asleep=True))

    found = await outcomes(*slow)

    assert all(isinstance(error, DatabaseUnavailable) for error in found)
    assert rows("SELECT count(*) FROM venta WHERE id > 1000") == [(0,)]


async def test_a_connection_that_died_while_idle_is_replaced(
    db: Database, rows: Rows, users: list[int]
) -> None:
    for _ in range(3):
        await db.gather(int, SELL, owner=users[0], amount=1)
        await until(lambda: kill(rows, "%sold%"))
        await until(lambda: not db.lanes["writes"].connected)

    assert await db.gather(int, SELL, owner=users[0], amount=1)


async def test_a_read_planned_for_an_older_schema_is_repeated(
    db: Database, rows: Rows, users: list[int]
) -> None:
    rows("CREATE TABLE edad AS SELECT 1 AS id, 40 AS edad")
    ask = """
        SELECT asked.n, e.edad
          FROM unnest(%(id)s::int[]) WITH ORDINALITY AS asked (id, n)
          JOIN edad AS e ON e.id = asked.id
    """
    assert await db.gather(row, ask, id=1) == (40,)

    rows("ALTER TABLE edad ALTER COLUMN edad TYPE text")

    assert await db.gather(row, ask, id=1) == ("40",)


async def test_it_uses_the_index_of_a_table_that_is_still_empty(database: str, rows: Rows) -> None:
    scans = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'usuario'"
    [(by_row, by_index)] = rows(scans)

    async with open_database(database) as db:
        assert await db.gather(row, USER, id=1) is None

    await until(lambda: rows(scans) == [(by_row, by_index + 1)])


async def test_those_who_wait_are_answered_before_it_closes(database: str, users: list[int]) -> None:
    async with open_database(database) as db:
        asker = asyncio.ensure_future(db.gather(row, USER, id=users[0]))
        await asyncio.sleep(0)

    assert (await asker)[0] == users[0]


async def test_a_transaction_reads_its_own_changes(db: Database, users: list[int]) -> None:
    async with db.transaction() as tx:
        (id,) = await tx.gather(row, SELL, owner=users[0], amount=3)

        assert await tx.gather(row, SALE, id=id, owner=users[0]) == (id, users[0])
        assert await db.gather(row, SALE, id=id, owner=users[0]) is None


async def test_nobody_gets_anothers_answer_while_connections_die(
    db: Database, users: list[int], rows: Rows
) -> None:
    chance = random.Random(7)
    acknowledged: list[int] = []
    answered = unavailable = 0

    async def ask(number: int) -> None:
        nonlocal unavailable
        id = chance.choice(users)
        if number % 4 == 0:
            assert await db.gather(row, USER, id=id) == (id, f"u{users.index(id) + 1}")
        elif number % 4 == 1:
            other = chance.choice(users)
            assert await db.gather(row, SALE, id=id, owner=other) == ((id, other) if other == id else None)
        elif number % 4 == 2:
            position = users.index(id) + 1
            assert await db.gather_many(int, PAGE, after=id, limit=5) == users[position : position + 5]
        else:
            try:
                acknowledged.append(await db.gather(int, SELL, owner=id, amount=number))
            except DatabaseUnavailable:
                unavailable += 1

    async def client(numbers: range) -> None:
        nonlocal answered
        for number in numbers:
            await ask(number)
            answered += 1

    clients = asyncio.gather(*(client(range(first, 10_000, 201)) for first in range(201)))
    while not clients.done():
        # In turn each client asks on every lane: in 1000 answers are some of those repeated since the last kill.
        some = answered + 1000
        await until(lambda some=some: answered >= some or clients.done())
        kill(rows, "%unnest%")
    await clients

    assert len(acknowledged) == len(set(acknowledged))
    assert len(acknowledged) + unavailable == 2500
    sold = {id for (id,) in rows("SELECT id FROM venta WHERE id > 1000")}
    assert set(acknowledged) <= sold
    assert len(sold) <= 2500


def kill(rows: Rows, query: str, *, asleep: bool = False) -> list[tuple[Any, ...]]:
    """Ends the connections of this database that last parsed or ran such a query, or that are `asleep` within it."""
    return rows(
        """
        SELECT pg_terminate_backend(pid)
          FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE %s
           AND (NOT %s OR wait_event = 'PgSleep')
        """,
        query,
        asleep,
    )
