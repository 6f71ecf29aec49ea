"""Sums of sales: by day, week or month of a zone's calendar, or by user."""

from datetime import UTC, datetime
from typing import Literal

from core.http.endpoint import Request, endpoint
from core.http.validation import Query
from core.instants import end_of
from core.periods import periods
from core.problems import CROWDED, FORBIDDEN, invalid
from handlers.days import Desde, Hasta, Zona, end, first_moment, zone_of
from handlers.read_database import reading
from handlers.ventas_filters import Seller, whose
from sql import ventas_sums
from sql.ventas_sums import MOST_ROWS, Suma, TooManyRows

TAG = "resumen"


class SummaryQuery(Query, frozen=True):
    """Without `desde` and `hasta`: from the first sale to the end of today."""

    por: Literal["dia", "semana", "mes", "usuario"] = "dia"
    usuario_id: Seller = None
    desde: Desde = None
    hasta: Hasta = None
    zona: Zona = None


@endpoint(problems=[FORBIDDEN, CROWDED], slow=True)
async def show(request: Request, query: SummaryQuery) -> list[Suma]:
    """Sum the sales of each day, week, month or user.

    One's own; an admin's are everyone's, or those of `usuario_id`. A day begins at its midnight in `zona`. A
    `periodo` is named by its first day, a week by its Monday, and those without sales are there too, as zeros.
    `hasta` is the first moment past the end, or the last whole day. An `importe` above 9007199254740991 is a
    text of its digits, since not every client's numbers hold it."""
    usuario_id = whose(request.caller, query.usuario_id)
    zone = zone_of(request, query.zona)
    desde, hasta = first_moment(query.desde, zone), end(query.hasta, zone)
    try:
        async with reading(request.services, heavy=True) as db:
            if query.por == "usuario":
                return await ventas_sums.by_user(db, usuario_id=usuario_id, desde=desde, hasta=hasta)
            if desde is None:
                since = request.services.settings.first_sale
                desde = await ventas_sums.first(db, usuario_id=usuario_id, since=since)
            if desde is None:
                return []
            today = datetime.now(zone).date()
            hasta = hasta or end_of(today, zone) or datetime.max.replace(tzinfo=UTC)
            named = periods(query.por, desde, hasta, zone)
            return await ventas_sums.by_period(db, named, usuario_id=usuario_id, desde=desde, hasta=hasta)
    except TooManyRows:
        raise invalid("desde", f"da más de {MOST_ROWS} filas: acorte el lapso o sume por mes") from None
