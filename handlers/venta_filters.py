"""Which sales a request is about: the bounds it may give, and whose sales those may be."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Protocol

from core.auth import forbidden
from core.problems import invalid
from core.tokens import Caller
from core.validation import Query
from handlers.fields import text
from handlers.pages import ListQuery
from sql.listado import Filters
from sql.ventas import Id, Importe

MOMENT = "una fecha como 2026-01-31, o una fecha y hora RFC 3339 como 2026-01-31T10:00:00Z"
DAY = len("2026-01-31")

Moment = Annotated[
    str,
    text(
        DAY,
        40,
        r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+ -]\d{2}:\d{2})?)?".replace(
            r"\d", "[0-9]"
        ),
        MOMENT,
        "2026-01-31",
    ),
]


class Matching(Query, frozen=True):
    """`desde` is the first moment and `hasta` the first one past the end; without an offset they are UTC.

    A plain date is its whole day, so `hasta=2026-01-31` includes January 31. `minimo` and `maximo` are in cents
    and included. `usuario_id`, another's, is for an admin."""

    usuario_id: Id | None = None
    desde: Moment | None = None
    hasta: Moment | None = None
    minimo: Importe = 0
    maximo: Importe = 10**15


class ExportQuery(Matching, frozen=True):
    formato: Literal["csv", "ndjson"] = "csv"


class UserSalesQuery(ListQuery, frozen=True):
    """As for every list of sales, but for `usuario_id`, which the path has."""

    desde: Moment | None = None
    hasta: Moment | None = None
    minimo: Importe = 0
    maximo: Importe = 10**15


class SalesQuery(UserSalesQuery, frozen=True):
    usuario_id: Id | None = None


class Bounds(Protocol):
    """What the queries of lists and exports share."""

    @property
    def desde(self) -> str | None: ...
    @property
    def hasta(self) -> str | None: ...
    @property
    def minimo(self) -> int: ...
    @property
    def maximo(self) -> int: ...


def filters(bounds: Bounds, usuario_id: int | None) -> Filters:
    """The filters that a statement takes. Raises Problem 422."""
    return Filters(
        usuario_id=usuario_id,
        desde=first_moment(bounds.desde),
        hasta=end(bounds.hasta),
        minimo=bounds.minimo,
        maximo=bounds.maximo,
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
