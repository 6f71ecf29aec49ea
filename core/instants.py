"""Moments of time: as clients write them, and as answers and files have them."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
OFFSET = "([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?"
OFFSET_AT_THE_END = re.compile(r"[+-][0-9]{2}(:?[0-5][0-9])?\Z")  # fromisoformat takes +03:60 for +04:00
FUTURE = timedelta(days=1)
TO_A_WHOLE_DAY = timedelta(days=1, microseconds=-1)  # added to a moment: the first day that begins no sooner
DAY_LENGTH = len("2026-01-31")

Instant = Annotated[datetime, Meta(tz=True)]
WrittenInstant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]  # by rfc3339
WRITTEN = "una fecha como 2026-01-31, o una fecha y hora RFC 3339 como 2026-01-31T10:00:00-03:00"
Moment = Annotated[
    str,
    Meta(
        max_length=40,
        pattern=rf"^{DAY}([Tt ]{CLOCK}{OFFSET})?\Z",
        description="RFC 3339; a time without an offset, and a plain date's midnight, are in the server's own zone",
        examples=["2026-01-31T10:00:00-03:00"],
        extra={"mensaje": WRITTEN, "cell": "moment"},
    ),
]

MomentInFile = Annotated[
    str,
    Meta(max_length=40, pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}", extra={"mensaje": WRITTEN, "cell": "moment"}),
]  # read by Dates, faster than a whole pattern


def moment(text: str, zone: tzinfo) -> datetime:
    """The moment that a text names (RFC 3339; minutes, seconds and offset may lack), in UTC.

    Without an offset it is in `zone`, and a plain date is its midnight there: of a time that the clock shows
    twice, the first; a time that the clock skips is as if it had not been changed. Raises ValueError, also for what is
    not of the years 1 to 9999 in UTC."""
    if text[4:8:3] != "--" or text[DAY_LENGTH : DAY_LENGTH + 1] not in ("", "T", "t", " "):
        raise ValueError(text)  # fromisoformat knows weeks and other separators, too
    written = datetime.fromisoformat(text.upper())
    if written.tzinfo not in (None, UTC) and not OFFSET_AT_THE_END.search(text):
        raise ValueError(text)
    return utc(written, zone)


def utc(written: datetime, zone: tzinfo) -> datetime:
    """The same moment in UTC; one without an offset is in `zone`. Raises ValueError."""
    if written.tzinfo is UTC:  # as most files have it: there is nothing to work out
        return written
    try:
        return (written if written.tzinfo else written.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError:
        raise ValueError(written) from None


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day, in UTC. Raises ValueError."""
    return utc(datetime(day.year, day.month, day.day), zone)


def end_of(day: date, zone: tzinfo) -> datetime | None:
    """The first moment after a day, 23 to 25 hours after its midnight; None after the last day of the calendar."""
    return None if day == date.max else midnight(day + timedelta(days=1), zone)


def end_of_today(zone: tzinfo) -> datetime:
    """The first moment of tomorrow, in UTC."""
    return end_of(datetime.now(zone).date(), zone) or datetime.max.replace(tzinfo=UTC)


def rfc3339(instant: datetime) -> str:
    """A time of UTC as answers have it: 2026-01-31T13:00:00.000000Z."""
    text: str = to_builtins(instant)  # a tenth of what isoformat takes; without a fraction that is zero
    return text if instant.microsecond else f"{text[:-1]}.000000Z"


class Dates(Struct, frozen=True):
    """The times that a sale may be given: from `since` up to `until`. Without an offset they are in `zone`."""

    since: datetime
    until: datetime
    zone: tzinfo

    @staticmethod
    def up_to_now(since: datetime, zone: tzinfo) -> "Dates":
        """Up to FUTURE from now, for clocks differ."""
        return Dates(since, datetime.now(UTC) + FUTURE, zone)

    def read(self, text: str) -> datetime:
        """The moment of a text, in UTC. Raises ValueError, which says in Spanish what it must be."""
        try:
            when = moment(text, self.zone)
        except ValueError:
            raise ValueError(f"debe ser {WRITTEN}") from None
        if not self.since <= when <= self.until:
            first = (self.since.astimezone(self.zone) + TO_A_WHOLE_DAY).date()
            raise ValueError(f"debe ser una fecha desde el {first} hasta un día después de ahora")
        return when
