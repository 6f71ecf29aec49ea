"""Which sales a request is about: the bounds it may give, and whose sales those may be."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta

from core.caller import Caller
from core.http.validation import Query
from core.problems import forbidden, invalid
from handlers.fields import text
from handlers.keyset_pages import ListQuery
from sql.ventas import Id, Importe
from sql.ventas_list import Filters

MOMENT = "una fecha como 2026-01-31, o una fecha y hora RFC 3339 como 2026-01-31T10:00:00Z"
DAY = len("2026-01-31")

DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
TIME = f"{CLOCK}:[0-5][0-9]([.][0-9]{{1,9}})?([Zz]|[+ -]{CLOCK})?"
Moment = Annotated[str, text(DAY, 40, f"{DATE}([Tt ]{TIME})?", MOMENT, "2026-01-31")]

Desde = Annotated[Moment | None, Meta(description="from this day or moment on; UTC unless it has an offset")]
Hasta = Annotated[Moment | None, Meta(description="up to this day, included, or this moment, not included")]
Minimo = Annotated[Importe, Meta(description="least amount, in cents")]
Maximo = Annotated[Importe, Meta(description="greatest amount, in cents")]
Seller = Annotated[Id | None, Meta(description="whose; another's are for an admin to ask for")]


class UserSalesQuery(ListQuery, frozen=True):
    """`desde` is the first moment and `hasta` the first one past the end; without an offset they are UTC.

    A plain date is its whole day, so `hasta=2026-01-31` includes January 31. `minimo` and `maximo` are in cents,
    and included."""

    desde: Desde = None
    hasta: Hasta = None
    minimo: Minimo = 0
    maximo: Maximo = 10**15


class SalesQuery(UserSalesQuery, frozen=True):
    """The same of the user `usuario_id`; another's are for an admin to ask for."""

    usuario_id: Seller = None


class ExportQuery(Query, frozen=True):
    """What a list has, but for its pages."""

    formato: Literal["csv", "ndjson"] = "csv"
    usuario_id: Seller = None
    desde: Desde = None
    hasta: Hasta = None
    minimo: Minimo = 0
    maximo: Maximo = 10**15


def filters(query: UserSalesQuery | ExportQuery, usuario_id: int | None) -> Filters:
    """The filters that a statement takes. Raises Problem 422."""
    return Filters(
        usuario_id=usuario_id,
        desde=first_moment(query.desde),
        hasta=end(query.hasta),
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


def first_moment(desde: str | None) -> datetime | None:
    """The moment from which on; UTC. Raises Problem 422."""
    return None if desde is None else _moment("desde", desde)


def end(hasta: str | None) -> datetime | None:
    """The first moment past the end; UTC. Raises Problem 422."""
    if hasta is None:
        return None
    moment = _moment("hasta", hasta)
    if len(hasta) > DAY:
        return moment
    return None if moment.date() == datetime.max.date() else moment + timedelta(days=1)


def _moment(campo: str, text: str) -> datetime:
    # In a query, an unescaped + is a space.
    text = (text[: DAY + 1] + text[DAY + 1 :].replace(" ", "+")).upper()
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid(campo, f"debe ser {MOMENT}") from None
