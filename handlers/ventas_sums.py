"""Sums of sales: by day, week or month of a zone's calendar, or by user."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta

from core.database.database import Runner
from core.http.answers import Reply
from core.http.endpoint import endpoint
from core.http.request import Request
from core.http.validation import Query
from core.instants import end_of_today
from core.problems import CROWDED, FORBIDDEN, invalid, invalid_fields
from handlers.days import Desde, Hasta, Zona, end, first_moment, zone_of
from handlers.keyset_pages import PAGE, Despues, Limit, make_cursor, page_headers, read_cursor
from handlers.read_database import reading
from handlers.ventas_filters import Seller, whose
from sql import ventas_sums
from sql.ventas_sums import FIRST_SELLER, MOST_ROWS, SellerPlace, Suma, TooManyRows

TAG = "resumen"


class SummaryQuery(Query, frozen=True):
    """Without `desde` and `hasta`: from the first sale to the end of today.

    `orden`, `limit` and `despues` are for `por=usuario`; there are at most 20,000 periods."""

    por: Literal["dia", "semana", "mes", "usuario"] = "dia"
    usuario_id: Seller = None
    desde: Desde = None
    hasta: Hasta = None
    zona: Zona = None
    orden: Annotated[
        Literal["usuario", "importe"] | None, Meta(description="of users: by id, or the best sellers first")
    ] = None
    limit: Annotated[Limit | None, Meta(description=f"how many users at most; `{PAGE}` unless given")] = None
    despues: Despues = None


@endpoint(ambito="ventas:leer", problems=[FORBIDDEN, CROWDED], slow=True)
async def show(request: Request, query: SummaryQuery) -> Reply[list[Suma]]:
    """Sum the sales of each day, week, month or user.

    One's own; an admin's are everyone's, or those of `usuario_id`. A day begins at its midnight in `zona`. A
    `periodo` is named by its first day, a week by its Monday, and those without sales are there too, as zeros.
    `hasta` is the first moment past the end, or the last whole day. An `importe` above 9007199254740991 is a
    text of its digits, since not every client's numbers hold it."""
    of_users = {"orden": query.orden, "limit": query.limit, "despues": query.despues}
    if query.por != "usuario" and (said := [name for name, value in of_users.items() if value is not None]):
        raise invalid_fields([{"campo": name, "mensaje": "solo con por=usuario"} for name in said])
    usuario_id = whose(request.caller, query.usuario_id)
    zone = zone_of(request, query.zona)
    since = request.services.settings.first_sale
    desde, hasta = first_moment(query.desde, zone), end(query.hasta, zone)
    try:
        async with reading(request.services, heavy=True) as db:
            if query.por == "usuario":
                until = hasta if query.hasta else end_of_today(zone)
                return await _sellers(request, query, db, usuario_id, desde or since, until)
            sums = await ventas_sums.by_period(
                db,
                query.por,
                zone,
                usuario_id=usuario_id,
                since=since,
                desde=desde,
                hasta=hasta,
            )
            return Reply(sums)
    except TooManyRows:
        raise invalid("desde", f"da más de {MOST_ROWS} filas: acorte el lapso o sume por mes") from None


async def _sellers(
    request: Request,
    query: SummaryQuery,
    db: Runner,
    usuario_id: int | None,
    desde: datetime,
    hasta: datetime | None,
) -> Reply[list[Suma]]:
    """A page of users; the cursor of one order is none of the other's."""
    best_first, limit = query.orden == "importe", query.limit or PAGE
    name = "vendedores" if best_first else "sumas"
    found = await ventas_sums.by_user(
        db,
        usuario_id=usuario_id,
        desde=desde,
        hasta=hasta,
        best_first=best_first,
        after=read_cursor(request, name, query.despues, SellerPlace) or FIRST_SELLER,
        limit=limit + 1,
    )
    page, cursor = found[:limit], None
    if len(found) > len(page):
        last = page[-1]
        assert last.usuario_id is not UNSET  # noqa: S101 - it is a user's
        cursor = make_cursor(request, name, SellerPlace(last.usuario_id, str(last.importe)))
    return Reply(page, page_headers(request, cursor, None))
