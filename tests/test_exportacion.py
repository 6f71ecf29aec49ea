"""What an export writes, and what becomes of its connection, as far as no answer shows it."""

import asyncio
import json
import re
from contextlib import aclosing
from datetime import datetime

import psycopg
import pytest
from msgspec import json as msgspec_json
from psycopg.pq import TransactionStatus

from core.database.database import open_database
from sql import ventas_list
from sql.ventas_export import BLOCK, export
from sql.ventas_list import SaleFilters

SALES = 3000
CELL = re.compile(r"[0-9]+|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


@pytest.fixture
def ids(rows):
    """Two users and their SALES sales, one every 37 minutes."""
    insert = (
        "INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)"
        " SELECT 'u' || n, %s, 'N', 'A', '12345', n || '@example.com' FROM generate_series(1, 2) AS n RETURNING id"
    )
    ids = [id for (id,) in rows(insert, "$2b$04$" + "a" * 53)]
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)"
        " SELECT (%s::bigint[])[1 + n %% 2], n * 7919 %% 5000, 1 + n %% 9,"
        " timestamptz '2026-01-01Z' + n * interval '37 min'"
        " FROM generate_series(1, %s::int) AS n",
        ids,
        SALES,
    )
    return ids


@pytest.fixture
def run(database):
    """A function that runs an async function of a connection."""

    def runner(work):
        async def connected():
            async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
                return await work(connection)

        return asyncio.run(connected())

    return runner


def _exported(run, filters, formato="csv"):
    async def whole(connection):
        return b"".join([block async for block in export(connection, filters, formato)])

    return run(whole).decode()


def test_no_cell_is_a_formula(run, ids):
    head, *lines = _exported(run, SaleFilters()).splitlines()

    assert head == "id,usuario_id,venta,ventas_productos,creacion"
    assert len(lines) == SALES
    assert all(CELL.fullmatch(cell) for line in lines for cell in line.split(","))


@pytest.mark.parametrize(
    "setting", ["TimeZone = 'Asia/Kathmandu'", "DateStyle = 'SQL, DMY'", "statement_timeout = 1"]
)
def test_times_are_rfc_3339_in_utc_whatever_the_session_says(run, ids, setting):
    async def whole(connection):
        await connection.execute(f"SET {setting}")
        return b"".join([block async for block in export(connection, SaleFilters(), "csv")])

    assert run(whole).splitlines()[1].endswith(b",2026-01-01T00:37:00.000000Z")


def test_a_line_of_ndjson_is_a_sale_as_the_api_writes_it(run, ids, database):
    lines = _exported(run, SaleFilters(), "ndjson").splitlines()

    async def first():
        async with open_database(database) as db:
            return (
                await ventas_list.page(
                    db, SaleFilters(hasta=datetime.fromisoformat("2026-01-01T01:00Z")), after=None, limit=1
                )
            )[0]

    assert lines[0].encode() == msgspec_json.encode(asyncio.run(first()))
    assert len({json.loads(line)["id"] for line in lines}) == SALES


@pytest.mark.parametrize("of_user", [False, True])
@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"desde": "2026-01-10T00:37Z", "hasta": "2026-02-01T00:00+05:00"},
        {"minimo": 100, "maximo": 2000},
        {"hasta": "2026-02-01T00:00Z", "minimo": 4900},
    ],
)
def test_it_has_what_the_list_has_in_the_other_order(run, ids, database, of_user, bounds):
    bounds = {name: datetime.fromisoformat(x) if isinstance(x, str) else x for name, x in bounds.items()}
    filters = SaleFilters(usuario_id=ids[0] if of_user else None, **bounds)

    async def listed():
        async with open_database(database) as db:
            return await ventas_list.page(db, filters, after=None, limit=SALES), await ventas_list.count(
                db, filters
            )

    page, count = asyncio.run(listed())
    exported = [int(line.split(",")[0]) for line in _exported(run, filters).splitlines()[1:]]

    assert exported == [sale.id for sale in reversed(page)]
    assert 0 < len(exported) == count < SALES + (not of_user and not bounds)


def test_a_reader_who_stops_frees_the_connection_at_once(run, ids, rows):
    async def stops(connection):
        async with aclosing(export(connection, SaleFilters(), "ndjson")) as blocks:
            async for block in blocks:
                assert BLOCK <= len(block) < 2 * BLOCK
                break
        assert connection.info.transaction_status == TransactionStatus.IDLE
        return await (await connection.execute("SELECT 'still here'")).fetchone()

    assert run(stops) == ("still here",)


def test_a_reader_who_is_cancelled_frees_the_connection_too(run, ids):
    async def cancelled(connection):
        started = asyncio.Event()

        async def read():
            async with aclosing(export(connection, SaleFilters(), "csv")) as blocks:
                async for _ in blocks:
                    started.set()
                    await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        return connection.info.transaction_status

    assert run(cancelled) == TransactionStatus.IDLE
