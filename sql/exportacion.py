"""Sales out of venta as a stream of CSV or NDJSON, in the order of their creacion, by COPY."""

from collections.abc import AsyncGenerator
from typing import Any

from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.generators import copy_from
from psycopg.pq.abc import PGconn

from core.database_errors import as_problems
from sql.listado import MATCHING, MATCHING_OF_USER, Filters
from sql.renglones import Formato

BLOCK = 64 * 1024

SETTINGS = """
-- exportacion.settings: an export takes as long as its reader; times as 2026-01-31 10:00:00; uses no index
SELECT set_config('statement_timeout', '0', true),
       set_config('DateStyle', 'ISO', true)
"""

CSV = """
-- exportacion.csv: sales as CSV; uses venta_creacion_idx, or venta_usuario_id_creacion_idx for one user's
COPY (
SELECT id, usuario_id, venta, ventas_productos, (creacion AT TIME ZONE 'UTC') || 'Z' AS creacion{matching}
 ORDER BY venta.creacion, id
) TO STDOUT (FORMAT csv, HEADER)
"""

NDJSON = """
-- exportacion.ndjson: sales as NDJSON; uses venta_creacion_idx, or venta_usuario_id_creacion_idx for one user's
COPY (
SELECT format('{{"id":%%s,"usuario_id":%%s,"venta":%%s,"ventas_productos":%%s,"creacion":"%%sZ"}}',
              id, usuario_id, venta, ventas_productos, creacion AT TIME ZONE 'UTC'){matching}
 ORDER BY creacion, id
) TO STDOUT
"""

STATEMENTS: dict[Formato, tuple[str, str]] = {
    "csv": (CSV.format(matching=MATCHING), CSV.format(matching=MATCHING_OF_USER)),
    "ndjson": (NDJSON.format(matching=MATCHING), NDJSON.format(matching=MATCHING_OF_USER)),
}


async def export(
    connection: AsyncConnection[Any], filters: Filters, formato: Formato
) -> AsyncGenerator[bytes, None]:
    """The sales that `filters` choose, oldest first, so that an import gives them ids in the same order.

    Ends its COPY at once when it is closed: use contextlib.aclosing. Raises DatabaseUnavailable."""
    everyone, of_user = STATEMENTS[formato]
    sql = everyone if filters.usuario_id is None else of_user
    with as_problems():
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.execute(SETTINGS, prepare=False)
            async with cursor.copy(sql, filters.parameters()):
                more = True
                while more:
                    block = bytearray()
                    more = await connection.wait(_fill(connection.pgconn, block))
                    # PostgreSQL writes a space between date and time, and nowhere else here.
                    yield bytes(block.replace(b" ", b"T"))


def _fill(pgconn: PGconn, block: bytearray) -> PQGen[bool]:
    """Adds rows up to BLOCK bytes, without a turn of the event loop for each; whether there may be more."""
    while len(block) < BLOCK:
        row = yield from copy_from(pgconn)
        if not isinstance(row, memoryview):
            return False
        block += row
    return True
