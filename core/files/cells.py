"""Cells of a table: amounts, whole numbers and moments, as spreadsheets write them and as JSON has them.

What cannot be read stays the text that it is, to be refused where a number or a time must be."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct, inspect

from core.files.dialect import DECIMALS, Decimal, Dialect, Fecha

Kind = Literal["amount", "moment", "number", "text"]
Cell = int | str
Read = Callable[[str], Cell]

DIGITS = 19
SPACES = " \u00a0\u2009\u202f"
# Of the currencies of Spanish-speaking countries, as their spreadsheets write them.
SIGN = r"(?:[$€₡₲£]|S/\.?|Bs\.?|Gs\.?|Q|L\.?|C\$|B/\.?|RD\$|\$U)"
_GROUPS: dict[Decimal, str] = {"coma": rf"[.{SPACES}]", "punto": rf"[,{SPACES}]"}
AMOUNTS = {
    decimal: re.compile(
        rf"(?:{SIGN}[{SPACES}]*)?"
        rf"(?P<units>[0-9]{{1,16}}|[1-9][0-9]{{0,2}}(?P<group>{group})[0-9]{{3}}(?:(?P=group)[0-9]{{3}}){{0,4}})"
        rf"(?:{re.escape(DECIMALS[decimal])}(?P<cents>[0-9]{{1,2}}))?"
        rf"(?:[{SPACES}]*{SIGN})?"
    )
    for decimal, group in _GROUPS.items()
}
DATE = re.compile(
    r"(?P<first>[0-9]{1,2})(?P<mark>[/.-])(?P<second>[0-9]{1,2})(?P=mark)(?P<year>[0-9]{4}|[0-9]{2})"
    r"(?:(?:T|,? ) *(?P<hour>[0-9]{1,2}):(?P<clock>[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)"
    rf"(?:[{SPACES}]?(?P<half>[aApP])\.?[{SPACES}]?[mM]\.?)?(?P<offset> ?[+-][0-9]{{2}}:?[0-9]{{2}})?)?"
)
AMOUNT_EXAMPLES: dict[Decimal, str] = {"coma": "1.500,50", "punto": "1,500.50"}
DATE_EXAMPLES: dict[Fecha, str] = {"dma": "31/01/2026 22:15", "mda": "01/31/2026 22:15"}
CENTURY = "20"  # of a year of two digits


class FileColumn(Struct, frozen=True):
    """A column of a file: its name, what its cells hold, and whether it must be there."""

    name: str
    kind: Kind
    required: bool


def columns(row: type[Struct]) -> dict[str, FileColumn]:
    """The columns of a row type, by name. `Meta(extra={"cell": …})` of a field says its kind."""
    return {
        field.name: FileColumn(field.name, _kind(inspect.type_info(field.type)), field.required)
        for field in msgspec.structs.fields(row)
    }


def _kind(info: inspect.Type) -> Kind:
    match info:
        case inspect.Metadata(type=inner, extra=extra):
            said: Kind | None = (extra or {}).get("cell")
            return said or _kind(inner)
        case inspect.UnionType(types=types):
            return next((kind for kind in map(_kind, types) if kind != "text"), "text")
        case inspect.IntType():
            return "number"
        case _:
            return "text"


def reader(kind: Kind, dialect: Dialect) -> Read:
    """What reads the cells of a column: cents, a number, or a time as RFC 3339 without what it lacks."""
    decimal, fecha = dialect.decimal, dialect.fecha
    if kind == "amount" and decimal:
        return lambda cell: amount(cell, decimal)
    if kind == "number" and decimal:
        return lambda cell: whole(cell, decimal)
    if kind == "moment" and fecha:
        return lambda cell: moment(cell, fecha)
    return str if kind in ("moment", "text") else digits


def digits(cell: str) -> Cell:
    """The number in a cell of ASCII digits."""
    return int(cell) if cell.isdigit() and cell.isascii() and len(cell) <= DIGITS else cell


def read_column(read: Read, cells: Sequence[str]) -> list[Cell | None]:
    """What a reader makes of a column's cells; None of an empty one. Digits are read without a call for each cell."""
    text = "".join(cells)
    if (
        read is digits
        and text.isdigit()
        and text.isascii()
        and 0 < min(map(len, cells)) <= max(map(len, cells)) <= DIGITS
    ):
        return list(map(int, cells))
    return [read(cell) if cell else None for cell in cells]


def amount(cell: str, decimal: Decimal) -> Cell:
    """An amount in units, as cents, exactly."""
    read = AMOUNTS[decimal].fullmatch(cell)
    if not read:
        return cell
    units = int(re.sub("[^0-9]", "", read["units"]) if read["group"] else read["units"])
    return units * 100 + int((read["cents"] or "").ljust(2, "0"))


def whole(cell: str, decimal: Decimal) -> Cell:
    """A whole number, which may be grouped and have a fraction of zeros; money, with its sign, is none."""
    if cell.isdigit() or not (cell[:1] + cell[-1:]).isdigit():
        return digits(cell)
    cents = amount(cell, decimal)
    return cents // 100 if isinstance(cents, int) and cents % 100 == 0 else cell


def moment(cell: str, fecha: Fecha) -> str:
    """A date, with or without its time, as RFC 3339: 2026-01-31T22:15."""
    read = DATE.fullmatch(cell)
    if not read:
        return cell
    day, month = (read["first"], read["second"]) if fecha == "dma" else (read["second"], read["first"])
    year = read["year"] if len(read["year"]) > 2 else CENTURY + read["year"]
    hour = int(read["hour"] or 0)
    if read["half"]:
        if not 1 <= hour <= 12:
            return cell
        hour = hour % 12 + (12 if read["half"] in "pP" else 0)
    iso = f"{year}-{month:0>2}-{day:0>2}"
    if read["clock"]:
        iso += f"T{hour:02}:{read['clock'].replace(',', '.')}{(read['offset'] or '').strip()}"
    try:
        datetime.fromisoformat(iso)
    except ValueError:
        return cell
    return iso


def wanted(kind: Kind, cell: str, dialect: Dialect) -> str:
    """How a cell that its dialect does not read should look; empty where it reads it, or has no way of its own."""
    cell = cell.strip()
    if not cell or reader(kind, dialect)(cell) != cell:
        return ""
    if kind == "amount" and dialect.decimal:
        return f"debe ser un importe como {AMOUNT_EXAMPLES[dialect.decimal]}"
    if kind == "moment" and dialect.fecha:
        return f"debe ser una fecha como {DATE_EXAMPLES[dialect.fecha]}, con hora o sin ella"
    return ""


def hint(kind: Kind, cell: str, dialect: Dialect) -> str:
    """Which option would read a cell that was not; empty when none would."""
    cell = cell.strip()
    if reader(kind, dialect)(cell) != cell:
        return ""
    would: list[tuple[str, str]] = []
    if kind == "moment":
        would = [("fecha", fecha) for fecha in get_args(Fecha) if moment(cell, fecha) != cell]
    elif kind != "text":
        read = amount if kind == "amount" else whole
        would = [("decimal", decimal) for decimal in DECIMALS if read(cell, decimal) != cell]
    said = ("fecha", dialect.fecha), ("decimal", dialect.decimal)
    options = [dialect.say(*option) for option in would if option not in said]
    return f"; se lee con {' o '.join(options)}" if options else ""


def writer(kind: Kind, dialect: Dialect) -> Callable[[str], str] | None:
    """What writes a column's cells in a dialect, from how PostgreSQL writes them; None where they stay."""
    if kind == "amount" and dialect.decimal:
        mark = DECIMALS[dialect.decimal]
        return lambda cell: f"{cell[:-2] or '0'}{mark}{cell[-2:]:0>2}"
    if kind == "moment" and dialect.fecha:
        return lambda cell: _local(cell, dialect.zone, dialect.fecha)
    return None


def _local(cell: str, zone: tzinfo, fecha: Any) -> str:
    """The day and time that the zone's clock shows, to the second; its offset too, where the clock shows it again."""
    local = datetime.fromisoformat(cell).astimezone(zone)
    day = f"{local:%d/%m/}" if fecha == "dma" else f"{local:%m/%d/}"
    again = local.fold and local.replace(fold=0).utcoffset() != local.utcoffset()
    return f"{day}{local.year:04} {local:%H:%M:%S}{f' {local:%z}' if again else ''}"
