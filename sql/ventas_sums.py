"""Sums of venta: by day, week or month in UTC, or by user."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from sql.ventas import Runner

Unidad = Literal["dia", "semana", "mes"]

MOST_ROWS = 10_000
UNITS: dict[Unidad, str] = {"dia": "day", "semana": "week", "mes": "month"}


class Suma(Struct, frozen=True, kw_only=True):
    """What was sold in a period, named by its first day (of a week, its Monday), or by a user; `importe`: cents."""

    periodo: date | UnsetType = UNSET
    usuario_id: int | UnsetType = UNSET
    ventas: int
    productos: int
    importe: int

    @staticmethod
    def of_period(periodo: date, ventas: int, productos: Decimal, importe: Decimal) -> "Suma":
        return Suma(periodo=periodo, ventas=ventas, productos=int(productos), importe=int(importe))

    @staticmethod
    def of_user(usuario_id: int, ventas: int, productos: Decimal, importe: Decimal) -> "Suma":
        return Suma(usuario_id=usuario_id, ventas=ventas, productos=int(productos), importe=int(importe))


class TooManyRows(Exception):
    """The summary has more than MOST_ROWS rows."""


SALES = """
      FROM venta
     WHERE (creacion, id) >= (coalesce(%(desde)s::timestamptz, '-infinity'), 0)
       AND (creacion, id) < (coalesce(%(hasta)s::timestamptz, 'infinity'), 0)"""

SALES_OF_USER = f"""{SALES}
       AND usuario_id = %(usuario_id)s::bigint"""

BY_PERIOD = f"""
WITH span AS (
    SELECT coalesce(%(desde)s::timestamptz, min(creacion)) AT TIME ZONE 'UTC' AS first,
           coalesce(%(hasta)s::timestamptz - interval '1 microsecond', greatest(max(creacion), now()))
           AT TIME ZONE 'UTC' AS last{{sales}}
), period AS (
    SELECT generate_series(date_trunc(%(unit)s, first), last, ('1 ' || %(unit)s)::interval) AS periodo
      FROM span
     LIMIT {MOST_ROWS + 1}
), sold AS (
    SELECT date_trunc(%(unit)s, creacion AT TIME ZONE 'UTC') AS periodo,
           count(*) AS ventas,
           sum(ventas_productos) AS productos,
           sum(venta) AS importe{{sales}}
     GROUP BY 1
)
SELECT periodo::date, coalesce(ventas, 0), coalesce(productos, 0), coalesce(importe, 0)
  FROM period
  LEFT JOIN sold USING (periodo)
 ORDER BY periodo
"""

OF_ALL_BY_PERIOD = f"""
-- ventas_sums.of_all_by_period: everyone's sales by period, zeros where there are none, from the first sale to the
-- later of the last one and now where no bounds are given; reads all that match; uses venta_creacion_idx\
{BY_PERIOD.format(sales=SALES)}"""

OF_USER_BY_PERIOD = f"""
-- ventas_sums.of_user_by_period: the same of one user; reads all that match; uses venta_usuario_id_creacion_idx\
{BY_PERIOD.format(sales=SALES_OF_USER)}"""

OF_ALL_BY_USER = f"""
-- ventas_sums.of_all_by_user: what each user sold, of those who sold something; reads all that match;
-- uses venta_creacion_idx
WITH sold AS MATERIALIZED (
    SELECT usuario_id, count(*) AS ventas, sum(ventas_productos) AS productos, sum(venta) AS importe{SALES}
     GROUP BY usuario_id
)
SELECT usuario_id, ventas, productos, importe
  FROM sold
 ORDER BY usuario_id
 LIMIT {MOST_ROWS + 1}
"""

OF_USER_BY_USER = f"""
-- ventas_sums.of_user_by_user: what one user sold; reads all that match; uses venta_usuario_id_creacion_idx
SELECT usuario_id, count(*), sum(ventas_productos), sum(venta){SALES_OF_USER}
 GROUP BY usuario_id
 LIMIT {MOST_ROWS + 1}
"""


async def by_period(
    db: Runner, unidad: Unidad, *, usuario_id: int | None, desde: datetime | None, hasta: datetime | None
) -> list[Suma]:
    """The sums of each period that has a part in `desde` <= creacion < `hasta`, in order. Raises TooManyRows."""
    sql = OF_ALL_BY_PERIOD if usuario_id is None else OF_USER_BY_PERIOD
    bounds = _bounds(usuario_id, desde, hasta)
    return _checked(await db.many(Suma.of_period, sql, unit=UNITS[unidad], **bounds))


async def by_user(
    db: Runner, *, usuario_id: int | None, desde: datetime | None, hasta: datetime | None
) -> list[Suma]:
    """The sums of each user with sales in `desde` <= creacion < `hasta`, by id. Raises TooManyRows."""
    sql = OF_ALL_BY_USER if usuario_id is None else OF_USER_BY_USER
    return _checked(await db.many(Suma.of_user, sql, **_bounds(usuario_id, desde, hasta)))


def _bounds(usuario_id: int | None, desde: datetime | None, hasta: datetime | None) -> dict[str, object]:
    owner = {} if usuario_id is None else {"usuario_id": usuario_id}
    return owner | {"desde": desde, "hasta": hasta}


def _checked(rows: list[Suma]) -> list[Suma]:
    if len(rows) > MOST_ROWS:
        raise TooManyRows
    return rows
