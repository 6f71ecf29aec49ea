"""Days, weeks and months of a zone's calendar, as spans of time."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

from core.instants import midnight

Unidad = Literal["dia", "semana", "mes"]


def periods(
    unidad: Unidad, desde: datetime, hasta: datetime, zone: tzinfo
) -> Iterator[tuple[date, datetime]]:
    """Each period that has a part in `desde` <= moment < `hasta`: its first day, and that day's midnight in UTC.

    A week begins on its Monday."""
    if desde >= hasta:
        return
    day = _first_day(unidad, desde.astimezone(zone).date())
    while True:
        begin = midnight(day, zone)
        if begin >= hasta:
            return
        yield day, begin
        try:
            day = _next(unidad, day)
        except (OverflowError, ValueError):  # the calendar ends
            return


def _first_day(unidad: Unidad, day: date) -> date:
    if unidad == "semana":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unidad == "mes" else day


def _next(unidad: Unidad, day: date) -> date:
    if unidad == "mes":
        return day.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)
    return day + timedelta(days=7 if unidad == "semana" else 1)
