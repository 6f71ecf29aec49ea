"""Which sales a request is about: the bounds it may give, and whose sales those may be."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta

from core.caller import Caller
from core.http.validation import Query
from core.problems import forbidden
from handlers.days import Desde, Hasta, Zona, end, first_moment
from handlers.keyset_pages import ListQuery
from sql.ventas import Id, Importe
from sql.ventas_list import Filters

Minimo = Annotated[Importe, Meta(description="least amount, in cents")]
Maximo = Annotated[Importe, Meta(description="greatest amount, in cents")]
Seller = Annotated[Id | None, Meta(description="whose; another's are for an admin to ask for")]


class UserSalesQuery(ListQuery, frozen=True):
    """`desde` is the first moment and `hasta` the first one past the end; without an offset they are in `zona`.

    A plain date is its whole day, so `hasta=2026-01-31` includes January 31. `minimo` and `maximo` are in cents,
    and included."""

    desde: Desde = None
    hasta: Hasta = None
    zona: Zona = None
    minimo: Minimo = 0
    maximo: Maximo = 10**15

    @property
    def heavy(self) -> bool:
        """Whether many sales may have to be read for one page: those that are counted, or of any other amount."""
        return self.total == "exacto" or self.minimo > 0 or self.maximo < 10**15


class SalesQuery(UserSalesQuery, frozen=True):
    """The same of the user `usuario_id`; another's are for an admin to ask for."""

    usuario_id: Seller = None


class ExportQuery(Query, frozen=True):
    """What a list has, but for its pages."""

    formato: Literal["csv", "ndjson"] = "csv"
    usuario_id: Seller = None
    desde: Desde = None
    hasta: Hasta = None
    zona: Zona = None
    minimo: Minimo = 0
    maximo: Maximo = 10**15


def filters(query: UserSalesQuery | ExportQuery, usuario_id: int | None, zone: ZoneInfo) -> Filters:
    """The filters that a statement takes. Raises Problem 422."""
    return Filters(
        usuario_id=usuario_id,
        desde=first_moment(query.desde, zone),
        hasta=end(query.hasta, zone),
        minimo=query.minimo,
        maximo=query.maximo,
    )


def owner(caller: Caller) -> int | None:
    """Whose sales the caller may see and change: their own; everyone's, None, if an admin."""
    return None if caller.admin else caller.id


def whose(caller: Caller, asked: int | None) -> int | None:
    """Whose sales to list: those asked for, or all that the caller may see. Raises Problem 403 for another's."""
    if asked not in (None, caller.id) and not caller.admin:
        raise forbidden()
    return owner(caller) if asked is None else asked
