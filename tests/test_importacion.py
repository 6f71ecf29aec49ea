"""What loading a file does to the database, as far as no answer shows it."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from core.files.dialect import Dialect
from core.files.lines import SLICE
from core.files.refusals import InvalidFile
from core.instants import Dates
from sql.ventas_export import export
from sql.ventas_import import Terms, load, open_renglones
from sql.ventas_list import SaleFilters

HEAD = b"venta,ventas_productos\n"


@pytest.fixture
def beto(rows):
    """The id of a user made by SQL, who is the only one."""
    insert = (
        "INSERT INTO usuario (username, password, nombre, apellido, telefono, correo)"
        " VALUES ('beto', %s, 'Beto', 'Paz', '12345', 'beto@example.com') RETURNING id"
    )
    return rows(insert, "$2b$04$" + "a" * 53)[0][0]


@pytest.fixture
def run(database):
    """A function that runs an async function of a connection, and then sees that the connection is free and clean."""

    def runner(work):
        async def connected():
            async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
                try:
                    return await work(connection)
                finally:
                    assert connection.info.transaction_status == TransactionStatus.IDLE
                    cursor = await connection.execute("SELECT to_regclass('importacion')")
                    assert await cursor.fetchone() == (None,)

        return asyncio.run(connected())

    return runner


async def _whole(data):
    yield data


async def _load(connection, chunks, owner, formato="csv", *, since=datetime(2000, 1, 1, tzinfo=UTC), **how):
    reader = open_renglones(formato, Dialect())
    terms = Terms(owner, may_write_others=True, dates=Dates.up_to_now(since, UTC))
    async with connection.transaction():
        return await load(connection, chunks, reader, terms, **how)


def _wrong(run, data, owner):
    with pytest.raises(InvalidFile) as caught:
        run(lambda connection: _load(connection, _whole(data), owner))
    return [(error.linea, error.campo) for error in caught.value.errores]


def test_ids_rise_with_the_lines_and_times_default_to_now(run, rows, beto):
    loaded = run(lambda connection: _load(connection, _whole(HEAD + b"3,1\n1,1\n2,1\n"), beto))

    assert loaded.filas == 3
    assert [venta for (venta,) in rows("SELECT venta FROM venta ORDER BY id")] == [3, 1, 2]
    [(times, recent)] = rows("SELECT count(DISTINCT creacion), bool_and(now() - creacion < '1h') FROM venta")
    assert (times, recent) == (1, True)


def test_a_time_without_an_offset_is_utc_whatever_the_session_says(run, rows, beto):
    async def in_caracas(connection):
        await connection.execute("SET TimeZone = 'America/Caracas'")
        await connection.execute("SET DateStyle = 'German'")
        text = b"creacion,venta,ventas_productos\n2026-01-02T03:04:05,1,1\n2026-01-02T03:04:05+05:30,1,1\n"
        return await _load(connection, _whole(text), beto)

    run(in_caracas)

    times = [creacion for (creacion,) in rows("SELECT creacion FROM venta ORDER BY id")]
    assert times == [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 1, 21, 34, 5, tzinfo=UTC)]


def test_one_bad_line_at_the_end_keeps_everything_out(run, rows, beto):
    assert _wrong(run, HEAD + b"1,1\n" * 100_000 + b"1,0\n", beto) == [(100_002, "ventas_productos")]
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_an_owner_who_does_not_exist_is_named_by_the_line(run, rows, beto):
    mine = b"%d,1,1\n" % beto
    text = b"usuario_id,venta,ventas_productos\n" + mine * 70_000 + b"999999,1,1\n\n999998,x,1\n" + mine

    assert _wrong(run, text, beto) == [(70_002, "usuario_id"), (70_004, "venta")]
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_the_first_hundred_errors_come_in_the_order_of_the_lines(run, beto):
    pair = b"999999,1,1\n,x,1\n"

    errors = _wrong(run, b"usuario_id,venta,ventas_productos\n" + pair * 500, beto)

    assert errors == [(line, "venta" if line % 2 else "usuario_id") for line in range(2, 102)]


@pytest.mark.parametrize(
    "creacion",
    [
        b"0001-01-01T00:00:00+05:00",
        b"9999-12-31T23:59:59-05:00",
        b"0000-01-01T00:00:00Z",
        b"2026-02-30T00:00:00Z",
        b"0026-01-31T10:00:00Z",
        b"2062-01-31T10:00:00Z",
        b"1999-12-31T23:59:59.999999Z",
        b"2026-01-31T10:00:00+14:60",
        b"2026-01-31T10:00:00-0399",
    ],
)
def test_a_time_that_is_none_or_out_of_bounds_is_refused(run, beto, creacion):
    text = b"venta,ventas_productos,creacion\n1,1," + creacion + b"\n"

    assert _wrong(run, text, beto) == [(2, "creacion")]


def test_a_sale_of_nobody_is_refused(run):
    assert _wrong(run, HEAD + b"1,1\n", None) == [(2, "usuario_id")]


def test_a_simulation_finds_what_is_wrong_and_inserts_nothing(run, rows, beto):
    text = HEAD + b"1,1\n" * 10

    assert run(lambda connection: _load(connection, _whole(text), beto, simulate=True)).filas == 10
    assert rows("SELECT count(*), max(id) FROM venta") == [(0, None)]


def test_a_broken_upload_leaves_nothing(run, rows, beto):
    async def broken():
        yield HEAD + b"1,1\n" * 20_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        run(lambda connection: _load(connection, broken(), beto))
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_a_load_that_is_given_up_gives_its_connection_back(run, rows, beto):
    async def given_up(connection):
        stalled = asyncio.Event()

        async def stalling():
            yield HEAD + b"1,1\n" * 20_000
            stalled.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(_load(connection, stalling(), beto))
        await stalled.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run(given_up)
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_others_get_their_turn_after_every_slice(run, beto):
    async def counted(connection):
        turns = 0

        async def other():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(other())
        await _load(connection, _whole(text), beto, simulate=True)
        task.cancel()
        return turns

    text = HEAD + b"1,1\n" * 100_000
    assert run(counted) >= len(text) // SLICE


@pytest.mark.parametrize("formato", ["csv", "ndjson"])
def test_an_exported_file_imports_again_unchanged(run, rows, beto, formato):
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)"
        " SELECT %s, n * 7 %% 1000, 1 + n %% 9,"
        " timestamptz '0001-01-01Z' + n * interval '0.125 s' + n / 3 * interval '1 year'"
        " FROM generate_series(0, 5000) AS n",
        beto,
    )
    contents = "SELECT usuario_id, venta, ventas_productos, creacion FROM venta ORDER BY creacion, id"
    before = rows(contents)

    async def there_and_back(connection):
        exported = b"".join([block async for block in export(connection, SaleFilters(), formato)])
        await connection.execute("DELETE FROM venta")
        return await _load(
            connection, _whole(exported), None, formato, since=datetime.min.replace(tzinfo=UTC)
        )

    assert run(there_and_back).filas == 5001
    assert rows(contents) == before
