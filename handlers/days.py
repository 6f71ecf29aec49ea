"""The span of time that a request names: from a day or moment on, up to one, and whose midnight ends a day."""

from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta

from core import zones
from core.http.request import Request
from core.instants import CLOCK, DAY, DAY_LENGTH, OFFSET, end_of, moment
from core.problems import invalid
from handlers.fields import text

MOMENT = "una fecha como 2026-01-31, o una fecha y hora RFC 3339 como 2026-01-31T10:00:00Z"
IN_A_QUERY = f"{DAY}([Tt ]{CLOCK}{OFFSET.replace('+', '+ ')})?"  # an unescaped + is a space
Moment = Annotated[str, text(DAY_LENGTH, 40, IN_A_QUERY, MOMENT, "2026-01-31")]

Desde = Annotated[
    Moment | None, Meta(description="from this day or moment on; in `zona` unless it has an offset")
]
Hasta = Annotated[Moment | None, Meta(description="up to this day, included, or this moment, not included")]
Zona = Annotated[
    Annotated[str, Meta(min_length=1, max_length=zones.LONGEST)] | None,
    Meta(
        description="whose midnight ends a day: the IANA name of a zone, such as "
        "`America/Argentina/Buenos_Aires`; the server's own, unless given"
    ),
]


def zone_of(request: Request, zona: str | None) -> ZoneInfo:
    """The zone that a request names, or the server's. Raises Problem 422, which suggests names that look like it."""
    try:
        return zones.zone(zona) if zona else request.services.settings.zone
    except zones.UnknownZone as unknown:
        near = " o ".join(unknown.near) or "America/Argentina/Buenos_Aires"
        raise invalid("zona", f"debe ser el nombre IANA de una zona horaria, como {near}") from None


def first_moment(desde: str | None, zone: ZoneInfo) -> datetime | None:
    """The moment from which on; UTC. Raises Problem 422."""
    return None if desde is None else _moment("desde", desde, zone)


def end(hasta: str | None, zone: ZoneInfo) -> datetime | None:
    """The first moment past the end; UTC. Raises Problem 422."""
    if hasta is None:
        return None
    if len(hasta) > DAY_LENGTH:
        return _moment("hasta", hasta, zone)
    try:
        return end_of(date.fromisoformat(hasta), zone)
    except ValueError:
        raise invalid("hasta", f"debe ser {MOMENT}") from None


def _moment(campo: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        return moment(text[: DAY_LENGTH + 1] + text[DAY_LENGTH + 1 :].replace(" ", "+"), zone)
    except ValueError:
        raise invalid(campo, f"debe ser {MOMENT}") from None
