"""Sales out of venta as a stream of CSV or NDJSON, in the order of their creacion, by COPY."""

from collections.abc import AsyncGenerator
from typing import Any

from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import WAIT_R

from core.database.errors import as_problems
from core.database.naming import named
from core.files.dialect import Formato
from sql.ventas import Venta
from sql.ventas_list import MATCHING, MATCHING_OF_USER, SaleFilters

BLOCK = 64 * 1024

SETTINGS = """
-- ventas_export.settings: an export takes as long as its reader; times are told in UTC; uses no index
SELECT set_config('statement_timeout', '0', true),
       set_config('TimeZone', 'UTC', true)
"""

INSTANT = """to_char(creacion, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""

NUMBERS = [name for name in Venta.__struct_fields__ if name != "creacion"]

AS_CSV = f"SELECT {', '.join(NUMBERS)}, {INSTANT} AS creacion"

AS_NDJSON = f"""\
SELECT format('{{{"".join(f'"{name}":%%s,' for name in NUMBERS)}"creacion":"%%s"}}', {", ".join(NUMBERS)},
              {INSTANT})"""

OLDEST_FIRST = """
 ORDER BY venta.creacion, id
"""

CSV = f"""
-- ventas_export.csv: everyone's sales as CSV, oldest first; reads all that match; uses venta_creacion_idx
COPY (
{AS_CSV}{MATCHING}{OLDEST_FIRST}) TO STDOUT (FORMAT csv, HEADER)
"""

CSV_OF_USER = f"""
-- ventas_export.csv_of_user: one user's sales as CSV, oldest first; uses venta_usuario_id_creacion_idx, venta_pkey
COPY (
{AS_CSV}{MATCHING_OF_USER}{OLDEST_FIRST}) TO STDOUT (FORMAT csv, HEADER)
"""

NDJSON = f"""
-- ventas_export.ndjson: everyone's sales as NDJSON, oldest first; reads all that match; uses venta_creacion_idx
COPY (
{AS_NDJSON}{MATCHING}{OLDEST_FIRST}) TO STDOUT
"""

NDJSON_OF_USER = f"""
-- ventas_export.ndjson_of_user: one user's sales as NDJSON, oldest first;
-- uses venta_usuario_id_creacion_idx, venta_pkey
COPY (
{AS_NDJSON}{MATCHING_OF_USER}{OLDEST_FIRST}) TO STDOUT
"""

STATEMENTS: dict[Formato, tuple[str, str]] = {"csv": (CSV, CSV_OF_USER), "ndjson": (NDJSON, NDJSON_OF_USER)}


async def export(
    connection: AsyncConnection[Any], filters: SaleFilters, formato: Formato
) -> AsyncGenerator[bytes, None]:
    """The sales that `filters` choose, oldest first, so that an import gives them ids in the same order.

    Ends its COPY at once when it is closed: use contextlib.aclosing. Raises DatabaseUnavailable."""
    everyone, of_user = STATEMENTS[formato]
    sql = everyone if filters.usuario_id is None else of_user
    with as_problems():
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.execute(named(SETTINGS), prepare=False)
            async with cursor.copy(named(sql), filters.parameters()):
                more = True
                while more:
                    block = bytearray()
                    more = await connection.wait(_fill(connection.pgconn, block))
                    yield bytes(block)


def _fill(pgconn: PGconn, block: bytearray) -> PQGen[bool]:
    """Adds rows up to BLOCK bytes, without a turn of the event loop for each; whether there may be more."""
    looked = False
    while len(block) < BLOCK:
        size, row = pgconn.get_copy_data(1)
        if size > 0:
            block += row
            looked = False
        elif size == 0:
            if looked:
                yield WAIT_R
            pgconn.consume_input()
            looked = not looked
        else:
            (result,) = yield from fetch_many(pgconn)
            if result.status != ExecStatus.COMMAND_OK:
                raise error_from_result(result)
            return False
    return True
