"""Files of sales into venta: staged by COPY, checked as a set, inserted in one statement, all or nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from msgspec import Struct
from psycopg import AsyncConnection

from core.database.errors import as_problems
from core.database.naming import named
from core.files.lines import SLICE, LineTooLong, slices
from sql.renglones import MAX_ERRORS, Formato, LineError, Ndjson, Renglones
from sql.renglones_csv import Csv

READERS: dict[Formato, type[Renglones]] = {"csv": Csv, "ndjson": Ndjson}

SETTINGS = """
-- ventas_import.settings: a load takes as long as its file; a time without an offset is UTC; uses no index
SELECT set_config('statement_timeout', '0', true),
       set_config('TimeZone', 'UTC', true),
       set_config('DateStyle', 'ISO', true)
"""

CREATE = """
-- ventas_import.create: where the rows wait until all are known to be good, at most to the end of the transaction;
-- uses no index
CREATE TEMPORARY TABLE importacion (
    linea            bigint NOT NULL,
    usuario_id       bigint NOT NULL,
    venta            bigint NOT NULL,
    ventas_productos bigint NOT NULL,
    creacion         timestamptz
) ON COMMIT DROP
"""

COPY = """
-- ventas_import.copy: rows that the API has read and checked one by one; uses no index
COPY importacion (linea, usuario_id, venta, ventas_productos, creacion)
FROM STDIN (FORMAT csv, NULL 'null')
"""

REFUSED = """
-- ventas_import.refused: rows whose owner does not exist, or whose time is not of the years 1 to 9999 in UTC;
-- reads the whole table; uses usuario_pkey
SELECT i.linea, u.id IS NULL
  FROM importacion AS i
  LEFT JOIN usuario AS u ON u.id = i.usuario_id AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
 WHERE u.id IS NULL
    OR i.creacion < '0001-01-01 00:00:00+00'
    OR i.creacion >= '10000-01-01 00:00:00+00'
 ORDER BY i.linea
 LIMIT %(limit)s
"""

INSERT = """
-- ventas_import.insert: the staged rows become sales, with ids that rise with their lines; reads the whole table
INSERT INTO venta (usuario_id, venta, ventas_productos, creacion)
SELECT usuario_id, venta, ventas_productos, coalesce(creacion, now())
  FROM importacion
 ORDER BY linea
"""


class Loaded(Struct, frozen=True):
    """How many sales the file has."""

    filas: int


class InvalidFile(Exception):
    """Nothing was loaded; `errores` has the first MAX_ERRORS errors by line: {linea, campo, mensaje}."""

    def __init__(self, errores: list[LineError]) -> None:
        super().__init__(errores)
        self.errores = errores


async def load(
    connection: AsyncConnection[Any],
    chunks: AsyncIterator[bytes],
    formato: Formato,
    *,
    default_owner: int | None,
    may_write_others: bool,
    simulate: bool = False,
    most_rows: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Loaded:
    """Every sale of a file, or none, in the transaction that `connection` is in.

    A sale without usuario_id is `default_owner`'s; if that is None it is an error, and so is another's sale
    without `may_write_others`. `simulate` checks all and inserts nothing; a file has up to `most_rows` sales, any
    number if that is 0. `progress` is told how many rows have been read. Raises InvalidFile, DatabaseUnavailable, and
    what `chunks` raises."""
    renglones = READERS[formato](default_owner, may_write_others=may_write_others)
    with as_problems():
        await connection.execute(named(SETTINGS), prepare=False)
        await connection.execute(named(CREATE), prepare=False)
        async with connection.cursor() as cursor, cursor.copy(named(COPY)) as copy:
            async for rows in _rows(renglones, chunks):
                await copy.write(rows)
                if 0 < most_rows < renglones.filas:
                    renglones.refuse(renglones.line, f"pasa de {most_rows} ventas", hopeless=True)
                if progress:
                    progress(renglones.filas)
        await _check(connection, renglones)
        if not simulate:
            await connection.execute(named(INSERT), prepare=False)
    return Loaded(renglones.filas)


async def glance(
    beginning: bytes, formato: Formato, *, default_owner: int | None, may_write_others: bool
) -> None:
    """Raises InvalidFile for the beginning of a file that makes no sense, whatever follows."""
    lines = beginning[: beginning.rfind(b"\n") + 1]
    if not lines and len(beginning) < SLICE:
        return
    renglones = READERS[formato](default_owner, may_write_others=may_write_others)
    async for _ in _rows(renglones, _one(lines or beginning)):
        pass
    if renglones.hopeless or not lines:
        raise InvalidFile(renglones.errores[:MAX_ERRORS])


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


async def _rows(renglones: Renglones, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The rows of the file, with a turn of the event loop after each slice, up to what makes it hopeless."""
    try:
        async for data in slices(chunks):
            yield renglones.read(data)
            if renglones.hopeless:
                return
            await asyncio.sleep(0)
        yield renglones.read(b"", last=True)
    except LineTooLong:
        renglones.refuse(renglones.line, f"pasa de {SLICE} bytes")


async def _check(connection: AsyncConnection[Any], renglones: Renglones) -> None:
    """Raises InvalidFile when a row is bad by itself or in view of the others."""
    cursor = await connection.execute(named(REFUSED), {"limit": MAX_ERRORS}, prepare=False)
    async for linea, unknown in cursor:
        if unknown:
            renglones.refuse(linea, "no existe el usuario con ese id", "usuario_id")
        else:
            renglones.refuse(linea, "debe ser una fecha de los años 0001 a 9999, en UTC", "creacion")
    if renglones.errores:
        raise InvalidFile(sorted(renglones.errores, key=lambda error: error.linea)[:MAX_ERRORS])
