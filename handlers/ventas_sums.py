"""Sums of sales: by day, week or month in UTC, or by user."""

from typing import Literal

from core.http.endpoint import Request, endpoint
from core.http.validation import Query
from core.problems import FORBIDDEN, invalid
from handlers.read_database import up_to_date
from handlers.ventas_filters import Desde, Hasta, Seller, end, first_moment, whose
from sql import ventas_sums
from sql.ventas_sums import MOST_ROWS, Suma, TooManyRows

TAG = "resumen"


class SummaryQuery(Query, frozen=True):
    """Without `desde` and `hasta`: from the first sale to now."""

    por: Literal["dia", "semana", "mes", "usuario"] = "dia"
    usuario_id: Seller = None
    desde: Desde = None
    hasta: Hasta = None


@endpoint(problems=[FORBIDDEN], slow=True)
async def show(request: Request, query: SummaryQuery) -> list[Suma]:
    """Sum the sales of each day, week, month or user.

    One's own; an admin's are everyone's, or those of `usuario_id`. A `periodo` is named by its first day, a week
    by its Monday, and those without sales are there too, as zeros. `hasta` is the first moment past the end, or
    the last whole day."""
    usuario_id = whose(request.caller, query.usuario_id)
    desde, hasta = first_moment(query.desde), end(query.hasta)
    db = await up_to_date(request.services)
    try:
        if query.por == "usuario":
            return await ventas_sums.by_user(db, usuario_id=usuario_id, desde=desde, hasta=hasta)
        return await ventas_sums.by_period(db, query.por, usuario_id=usuario_id, desde=desde, hasta=hasta)
    except TooManyRows:
        raise invalid("desde", f"da más de {MOST_ROWS} filas: acorte el lapso o sume por mes") from None
