"""Lists of ventas: which sales, page by page, and how many."""

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from core.database.database import Runner
from sql.ventas import COLUMNS, COLUMNS_OF_V, MAX_ID, Venta

MOST_SHARED = 101  # rows of a page that many may ask for in one round trip

Orden = Literal["creacion", "-creacion"]


class SalePlace(NamedTuple):
    """A place in a list: what stands after it, newest first, is older, or as old and of a lower id."""

    creacion: datetime
    id: int


BEGIN = SalePlace(datetime.min.replace(tzinfo=UTC), 0)
END = SalePlace(datetime.max.replace(tzinfo=UTC), MAX_ID)


class SaleFilters(Struct, frozen=True):
    """Which sales: `desde` <= creacion < `hasta` and `minimo` <= venta <= `maximo`, of everyone or one user."""

    usuario_id: int | None = None
    desde: datetime | None = None
    hasta: datetime | None = None
    minimo: int | None = None
    maximo: int | None = None

    @property
    def common(self) -> bool:
        """Whether it is one user's sales of any amount."""
        return self.usuario_id is not None and self.minimo is None and self.maximo is None

    def parameters(self, after: SalePlace | None = None, orden: Orden = "-creacion") -> dict[str, object]:
        """Every bound has a value, so that each is a bound of the index scan and none a test of each row."""
        end = SalePlace(self.hasta, 0) if self.hasta else END
        begin = SalePlace(self.desde, 0) if self.desde else BEGIN
        if after and orden == "creacion":
            begin = max(begin, after)
        elif after:
            end = min(end, after)
        owner = {} if self.usuario_id is None else {"usuario_id": self.usuario_id}
        bounds = {"antes": end.creacion, "antes_id": end.id, "desde": begin.creacion, "desde_id": begin.id}
        return owner | bounds | {"minimo": self.minimo, "maximo": self.maximo}


# Between two places: those of a statement's parameters, or those of each asker.
BETWEEN = """
  FROM venta
 WHERE (creacion, id) < ({antes}::timestamptz, {antes_id}::bigint)
   AND (creacion, id) > ({desde}::timestamptz, {desde_id}::bigint)"""
OF_USER = """
   AND usuario_id = {usuario_id}::bigint"""
PRESENT = """
   AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))"""
NAMES = ("antes", "antes_id", "desde", "desde_id", "usuario_id")
PARAMETERS = {name: f"%({name})s" for name in NAMES}
ASKERS = {name: f"asked.{name}" for name in NAMES}

BOUNDS = (
    BETWEEN.format(**PARAMETERS)
    + """
   AND (%(minimo)s::bigint IS NULL OR venta >= %(minimo)s)
   AND (%(maximo)s::bigint IS NULL OR venta <= %(maximo)s)"""
)

BOUNDS_OF_USER = BOUNDS + OF_USER.format(**PARAMETERS)

MATCHING = BOUNDS + PRESENT

MATCHING_OF_USER = BOUNDS_OF_USER + PRESENT

NEWEST = "creacion DESC, id DESC"
OLDEST = "creacion, id"

KEYSET = f"""
SELECT {COLUMNS}{{matching}}
 ORDER BY {{order}}
 LIMIT {{limit}}
"""

PAGE = f"""
-- ventas_list.page: everyone's sales after a place, newest first; uses venta_creacion_idx\
{KEYSET.format(matching=MATCHING, order=NEWEST, limit="%(limit)s")}"""

PAGE_OF_USER = f"""
-- ventas_list.page_of_user: one user's sales after a place, newest first;
-- uses venta_usuario_id_creacion_idx, venta_pkey\
{KEYSET.format(matching=MATCHING_OF_USER, order=NEWEST, limit="%(limit)s")}"""

PAGE_OLDEST = f"""
-- ventas_list.page_oldest: everyone's sales after a place, oldest first; uses venta_creacion_idx\
{KEYSET.format(matching=MATCHING, order=OLDEST, limit="%(limit)s")}"""

PAGE_OLDEST_OF_USER = f"""
-- ventas_list.page_oldest_of_user: one user's sales after a place, oldest first;
-- uses venta_usuario_id_creacion_idx, venta_pkey\
{KEYSET.format(matching=MATCHING_OF_USER, order=OLDEST, limit="%(limit)s")}"""

OF_EACH = (BETWEEN + OF_USER).format(**ASKERS) + PRESENT
PAGE_OF_EACH = KEYSET.format(matching=OF_EACH, order=NEWEST, limit='asked."limit"')

PAGES_OF_USERS = f"""
-- ventas_list.pages_of_users: for each asker, one user's sales of any amount after a place, newest first;
-- uses venta_usuario_id_creacion_idx
SELECT asked.n, {COLUMNS_OF_V}
  FROM unnest(%(usuario_id)s::bigint[], %(antes)s::timestamptz[], %(antes_id)s::bigint[], %(desde)s::timestamptz[],
              %(desde_id)s::bigint[], %(limit)s::bigint[])
       WITH ORDINALITY AS asked (usuario_id, antes, antes_id, desde, desde_id, "limit", n)
 CROSS JOIN LATERAL ({PAGE_OF_EACH}) AS v
"""

PAGES: dict[Orden, tuple[str, str]] = {
    "-creacion": (PAGE, PAGE_OF_USER),
    "creacion": (PAGE_OLDEST, PAGE_OLDEST_OF_USER),
}

COUNT = f"""
-- ventas_list.count: how many sales a list has in all, when asked; reads all that match; uses venta_creacion_idx
SELECT count(*){MATCHING}
"""

COUNT_OF_USER = f"""
-- ventas_list.count_of_user: how many sales one user's list has in all, when asked; reads all that match;
-- uses venta_usuario_id_creacion_idx, venta_pkey
SELECT count(*){MATCHING_OF_USER}
"""

ESTIMATE = f"""
-- ventas_list.estimate: about how many sales a list has, as the planner sees it; reads no row
EXPLAIN (FORMAT JSON)
SELECT id{BOUNDS}
"""

ESTIMATE_OF_USER = f"""
-- ventas_list.estimate_of_user: about how many sales one user's list has, as the planner sees it; reads no row
EXPLAIN (FORMAT JSON)
SELECT id{BOUNDS_OF_USER}
"""


async def page(
    db: Runner, filters: SaleFilters, *, after: SalePlace | None, limit: int, orden: Orden = "-creacion"
) -> list[Venta]:
    """Up to `limit` sales, those after `after`: newest first, unless `orden` is creacion.

    What is asked for most shares round trips: up to MOST_SHARED of the newest of one user, of any amount. Not on a
    cluster, where each page is one shard's."""
    if filters.common and not db.sharded and orden == "-creacion" and limit <= MOST_SHARED:
        return await db.gather_many(Venta, PAGES_OF_USERS, limit=limit, **filters.parameters(after))
    everyones, of_user = PAGES[orden]
    sql = everyones if filters.usuario_id is None else of_user
    return await db.many(Venta, sql, limit=limit, **filters.parameters(after, orden))


async def count(db: Runner, filters: SaleFilters) -> int:
    sql = COUNT if filters.usuario_id is None else COUNT_OF_USER
    return await db.one(int, sql, **filters.parameters()) or 0


async def estimate(db: Runner, filters: SaleFilters) -> int:
    """About how many, by the statistics of the last ANALYZE; in a time that does not grow with the table."""
    sql = ESTIMATE if filters.usuario_id is None else ESTIMATE_OF_USER
    return await db.one(_plan_rows, sql, **filters.parameters()) or 0


def _plan_rows(explained: list[dict[str, Any]]) -> int:
    rows: int = explained[0]["Plan"]["Plan Rows"]
    return rows
