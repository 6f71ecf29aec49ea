"""Which sales a request is about: the bounds it may give, and whose sales those may be."""

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta

from core.caller import Caller
from core.files.dialect import Decimal, Fecha, Formato, Separador
from core.http.validation import Query
from core.problems import forbidden
from handlers.days import Desde, Hasta, Zona, end, first_moment
from handlers.keyset_pages import ListQuery
from sql.ventas import Id, Importe
from sql.ventas_list import Orden, SaleFilters

MOST = 10**15  # cents

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
    maximo: Maximo = MOST
    orden: Annotated[Orden, Meta(description="oldest first, or newest first: `-creacion`")] = "-creacion"

    @property
    def heavy(self) -> bool:
        """Whether many sales may have to be read for one page: those that are counted, or of any other amount."""
        return self.total == "exacto" or self.minimo > 0 or self.maximo < MOST


class SalesQuery(UserSalesQuery, frozen=True):
    """The same of the user `usuario_id`; another's are for an admin to ask for."""

    usuario_id: Seller = None


class ExportQuery(Query, frozen=True):
    """What a list has, but for its pages, and how a CSV is written."""

    formato: Formato = "csv"
    usuario_id: Seller = None
    desde: Desde = None
    hasta: Hasta = None
    zona: Zona = None
    minimo: Minimo = 0
    maximo: Maximo = MOST
    separador: Annotated[Separador | None, Meta(description="what separates cells: `,` unless given")] = None
    decimal: Annotated[
        Decimal | None,
        Meta(description="write amounts in units, with this decimal mark, and not in whole cents"),
    ] = None
    fecha: Annotated[
        Fecha | None,
        Meta(
            description="write times of `zona` to the second, as `31/01/2026 22:15:00` or `01/31/2026 22:15:00`"
        ),
    ] = None
    bom: Annotated[
        Literal["si", "no"] | None,
        Meta(description="begin with a byte order mark, which Excel wants: si or no"),
    ] = None


def filters(query: UserSalesQuery | ExportQuery, usuario_id: int | None, zone: ZoneInfo) -> SaleFilters:
    """The filters that a statement takes. Raises Problem 422."""
    return SaleFilters(
        usuario_id=usuario_id,
        desde=first_moment(query.desde, zone),
        hasta=end(query.hasta, zone),
        minimo=query.minimo or None,
        maximo=None if query.maximo == MOST else query.maximo,
    )


def owner(caller: Caller) -> int | None:
    """Whose sales the caller may see and change: their own; everyone's, None, if an admin."""
    return None if caller.admin else caller.id


def whose(caller: Caller, asked: int | None) -> int | None:
    """Whose sales to list: those asked for, or all that the caller may see. Raises Problem 403 for another's."""
    if asked not in (None, caller.id) and not caller.admin:
        raise forbidden()
    return owner(caller) if asked is None else asked
