"""Sums of venta: by period, or by user."""

import asyncio
from datetime import date, datetime, tzinfo
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from core.database.database import Runner
from core.instants import end_of_today
from core.periods import Unidad, periods

T = TypeVar("T")

MOST_ROWS = 20_000  # days of 54 years
MOST_EXACT = 2**53 - 1  # beyond it, JavaScript's numbers are not every integer's
NOTHING = (0, 0, 0)

Total = (
    Annotated[int, Meta(ge=0, le=MOST_EXACT, extra={"cell": "amount"})]
    | Annotated[
        str,
        Meta(pattern=r"^[0-9]{16,}\Z", description="the digits of a sum above 2^53 - 1, 9007199254740991"),
    ]
)


class Suma(Struct, frozen=True, kw_only=True):
    """What was sold in a period, named by its first day (of a week, its Monday), or by a user.

    `importe` is in cents: an integer, or its digits as text beyond what every client's numbers hold."""

    periodo: date | UnsetType = UNSET
    usuario_id: int | UnsetType = UNSET
    ventas: int
    productos: int
    importe: Total

    @staticmethod
    def of_period(periodo: date, ventas: int, productos: Decimal | int, importe: Decimal | int) -> "Suma":
        return Suma(periodo=periodo, ventas=ventas, productos=int(productos), importe=_importe(importe))

    @staticmethod
    def of_user(usuario_id: int, ventas: int, productos: Decimal | int, importe: Decimal | int) -> "Suma":
        return Suma(usuario_id=usuario_id, ventas=ventas, productos=int(productos), importe=_importe(importe))


class TooManyRows(Exception):
    """The summary has more than MOST_ROWS rows."""


SALES = """
      FROM venta
     WHERE (creacion, id) >= (coalesce(%(desde)s::timestamptz, '-infinity'), 0)
       AND (creacion, id) < (coalesce(%(hasta)s::timestamptz, 'infinity'), 0)
       AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))"""

SALES_OF_USER = f"""{SALES}
       AND usuario_id = %(usuario_id)s::bigint"""

BY_PERIOD = """
SELECT width_bucket(creacion, %(begins)s::timestamptz[]), count(*), sum(ventas_productos), sum(venta){sales}
 GROUP BY 1
"""

OF_ALL_BY_PERIOD = f"""
-- ventas_sums.of_all_by_period: everyone's sales by period, each known by where it begins; reads all that match;
-- uses venta_creacion_idx\
{BY_PERIOD.format(sales=SALES)}"""

OF_USER_BY_PERIOD = f"""
-- ventas_sums.of_user_by_period: the same of one user; reads all that match;
-- uses venta_usuario_id_creacion_idx, venta_pkey\
{BY_PERIOD.format(sales=SALES_OF_USER)}"""

FIRST = """
-- ventas_sums.first: where sums begin that are given no beginning: everyone's first sale; uses venta_creacion_idx
SELECT min(creacion)
  FROM venta
 WHERE creacion >= %(since)s::timestamptz
   AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

FIRST_OF_USER = """
-- ventas_sums.first_of_user: the same of one user; uses venta_usuario_id_creacion_idx
SELECT min(creacion)
  FROM venta
 WHERE creacion >= %(since)s::timestamptz
   AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
   AND usuario_id = %(usuario_id)s::bigint
"""

BY_USER = f"""
WITH sold AS MATERIALIZED (
    SELECT usuario_id, count(*) AS ventas, sum(ventas_productos) AS productos, sum(venta) AS importe{SALES}
     GROUP BY usuario_id
)
SELECT usuario_id, ventas, productos, importe
  FROM sold"""

OF_ALL_BY_USER = f"""
-- ventas_sums.of_all_by_user: what each user sold, of those who sold something, after a given one; reads all that
-- match; uses venta_creacion_idx\
{BY_USER}
 WHERE usuario_id > %(after)s
 ORDER BY usuario_id
 LIMIT %(limit)s
"""

OF_ALL_BY_IMPORTE = f"""
-- ventas_sums.of_all_by_importe: the same, the best sellers first, those after a given one; reads all that match;
-- uses venta_creacion_idx\
{BY_USER}
 WHERE (-importe, usuario_id) > (-%(importe)s::numeric, %(after)s)
 ORDER BY -importe, usuario_id
 LIMIT %(limit)s
"""

OF_USER_BY_USER = f"""
-- ventas_sums.of_user_by_user: what one user sold; reads all that match; uses venta_usuario_id_creacion_idx, venta_pkey
SELECT usuario_id, count(*), sum(ventas_productos), sum(venta){SALES_OF_USER}
 GROUP BY usuario_id
"""


class SellerPlace(Struct, frozen=True):
    """A place in the list of sellers: the last user of a page, and what that user sold, as digits."""

    usuario_id: int
    importe: str


FIRST_SELLER = SellerPlace(0, "Infinity")


async def first(db: Runner, *, usuario_id: int | None, since: datetime) -> datetime | None:
    """When the first sale from `since` on was made; None when there is none."""
    sql = FIRST if usuario_id is None else FIRST_OF_USER
    return await db.one(_moment, sql, since=since, **_owner(usuario_id))


async def by_period(
    db: Runner,
    unidad: Unidad,
    zone: tzinfo,
    *,
    usuario_id: int | None,
    since: datetime,
    desde: datetime | None,
    hasta: datetime | None,
) -> list[Suma]:
    """The sums of each day, week or month in `zone`, of sales in `desde` <= creacion < `hasta`.

    Unless given, these are the first sale from `since` on, without which there are no sums, and the end of today.
    Raises TooManyRows."""
    desde = desde or await first(db, usuario_id=usuario_id, since=since)
    if desde is None:
        return []
    hasta = hasta or end_of_today(zone)
    # Thousands of days take a while: in a thread, the event loop goes on meanwhile.
    spans = islice(periods(unidad, desde, hasta, zone), MOST_ROWS + 1)
    known = _checked(await asyncio.to_thread(list, spans))
    sql = OF_ALL_BY_PERIOD if usuario_id is None else OF_USER_BY_PERIOD
    bounds = _owner(usuario_id) | {"desde": desde, "hasta": hasta}
    sold = await db.many(_numbered, sql, begins=[begin for _, begin in known], **bounds) if known else []
    sums = dict(sold)
    return await asyncio.to_thread(_named, known, sums)


async def by_user(
    db: Runner,
    *,
    usuario_id: int | None,
    desde: datetime | None,
    hasta: datetime | None,
    best_first: bool,
    after: SellerPlace,
    limit: int,
) -> list[Suma]:
    """The sums of each user with sales in `desde` <= creacion < `hasta`, by id or `best_first`, those after `after`."""
    bounds = {"desde": desde, "hasta": hasta}
    if usuario_id is not None:
        return await db.many(Suma.of_user, OF_USER_BY_USER, **bounds, usuario_id=usuario_id)
    place: dict[str, object] = {"after": after.usuario_id, "limit": limit}
    if best_first:
        return await db.many(Suma.of_user, OF_ALL_BY_IMPORTE, **bounds, **place, importe=after.importe)
    return await db.many(Suma.of_user, OF_ALL_BY_USER, **bounds, **place)


def _named(known: list[tuple[date, datetime]], sums: dict[int, tuple[Any, ...]]) -> list[Suma]:
    return [Suma.of_period(name, *sums.get(n, NOTHING)) for n, (name, _) in enumerate(known, 1)]


def _owner(usuario_id: int | None) -> dict[str, object]:
    return {} if usuario_id is None else {"usuario_id": usuario_id}


def _numbered(n: int, *sums: Any) -> tuple[int, tuple[Any, ...]]:
    return n, sums


def _moment(found: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(found) if isinstance(found, str) else found


def _importe(cents: Decimal | int) -> int | str:
    return int(cents) if cents <= MOST_EXACT else str(cents)


def _checked(rows: list[T]) -> list[T]:
    if len(rows) > MOST_ROWS:
        raise TooManyRows
    return rows
