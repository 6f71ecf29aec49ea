"""Files of sales into venta: staged by COPY, checked as a set, inserted in one statement, all or nothing."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection

from core.database.errors import as_problems
from core.database.naming import named
from core.files.dialect import Dialect, Formato
from core.files.reading import Reader, open_reader
from core.files.refusals import MAX_ERRORS, Refusals
from core.http.validation import body_decoder
from core.instants import Dates, MomentInFile
from sql.ventas import NEW, Id, Importe, Productos

Staged = tuple[int, int, int, int, datetime | None]  # the columns of importacion

_encode_lines = msgspec.json.Encoder().encode_lines


class Renglon(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A sale as a file has it. `id`, which an export writes, is ignored."""

    venta: Importe
    ventas_productos: Productos
    usuario_id: Id | None = None
    creacion: MomentInFile | None = None
    id: object = None


decode = body_decoder(Renglon)


def open_renglones(formato: Formato, dialect: Dialect) -> Reader[Renglon]:
    """What reads a file of sales."""
    return open_reader(Renglon, decode, formato, dialect)


class Terms(Struct, frozen=True):
    """Which sales a file may bring: those of `default_owner`, of others too if so, and of which `dates`."""

    default_owner: int | None
    may_write_others: bool
    dates: Dates


SETTINGS = """
-- ventas_import.settings: a load takes as long as its file; uses no index
SELECT set_config('statement_timeout', '0', true)
"""

CREATE = f"""
-- ventas_import.create: where the rows wait until all are known to be good, at most to the end of the transaction;
-- uses no index
CREATE TEMPORARY TABLE importacion (
    linea bigint NOT NULL,
    {" bigint NOT NULL, ".join(NEW.split(", "))} bigint NOT NULL,
    creacion timestamptz
) ON COMMIT DROP
"""

COPY = f"""
-- ventas_import.copy: rows that the API has read and checked one by one; uses no index
COPY importacion (linea, {NEW}, creacion)
FROM STDIN (FORMAT csv, NULL 'null')
"""

REFUSED = """
-- ventas_import.refused: rows whose owner does not exist; reads the whole table; uses usuario_pkey
SELECT i.linea
  FROM importacion AS i
  LEFT JOIN usuario AS u ON u.id = i.usuario_id AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
 WHERE u.id IS NULL
 ORDER BY i.linea
 LIMIT %(limit)s
"""

INSERT = f"""
-- ventas_import.insert: the staged rows become sales, with ids that rise with their lines; reads the whole table
INSERT INTO venta ({NEW}, creacion)
SELECT {NEW}, coalesce(creacion, now())
  FROM importacion
 ORDER BY linea
"""


class Loaded(Struct, frozen=True):
    """How many sales the file has."""

    filas: int


async def load(
    connection: AsyncConnection[Any],
    chunks: AsyncIterator[bytes],
    reader: Reader[Renglon],
    terms: Terms,
    *,
    simulate: bool = False,
    most_rows: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Loaded:
    """Every sale of a file, or none, in the transaction that `connection` is in.

    A sale without usuario_id is the default owner's; if that is None it is an error. `simulate` checks all and
    inserts nothing; a file has up to `most_rows` sales, any number if that is 0. `progress` is told how many rows have
    been read. Raises InvalidFile, DatabaseUnavailable, and what `chunks` raises."""
    refusals = reader.refusals
    filas = 0
    with as_problems():
        await connection.execute(named(SETTINGS), prepare=False)
        await connection.execute(named(CREATE), prepare=False)
        async with connection.cursor() as cursor, cursor.copy(named(COPY)) as copy:
            async for rows in reader.rows(chunks):
                good = [staged for line, row in rows if (staged := _staged(line, row, terms, refusals))]
                filas += len(good)
                # A JSON array of numbers and a time is a line of CSV, but for its brackets.
                await copy.write(_encode_lines(good).translate(None, b"[]"))
                if 0 < most_rows < filas:
                    refusals.refuse(reader.line, f"pasa de {most_rows} ventas", hopeless=True)
                if progress:
                    progress(filas)
        cursor = await connection.execute(named(REFUSED), {"limit": MAX_ERRORS}, prepare=False)
        async for (line,) in cursor:
            refusals.refuse(line, "no existe el usuario con ese id", "usuario_id")
        refusals.raise_if_any()
        if not simulate:
            await connection.execute(named(INSERT), prepare=False)
    return Loaded(filas)


async def glance(beginning: bytes, reader: Reader[Renglon], terms: Terms) -> None:
    """Raises InvalidFile for the beginning of a file that makes no sense, whatever follows."""
    async for rows in reader.rows(_one(beginning), whole=False):
        for line, row in rows:
            _staged(line, row, terms, reader.refusals)
    if reader.refusals.hopeless:
        reader.refusals.raise_if_any()


async def _one(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


def _staged(line: int, row: Renglon, terms: Terms, refusals: Refusals) -> Staged | None:
    """A row for COPY; None if it is refused."""
    owner = row.usuario_id or terms.default_owner
    if owner is None:
        refusals.refuse(line, "es obligatorio", "usuario_id")
    elif owner != terms.default_owner and not terms.may_write_others:
        refusals.refuse(line, "debe ser el suyo: las ventas de otro las importa un admin", "usuario_id")
    else:
        try:
            creacion = None if row.creacion is None else terms.dates.read(row.creacion)
        except ValueError as error:
            refusals.refuse(line, str(error), "creacion")
        else:
            return line, owner, row.venta, row.ventas_productos, creacion
    return None
