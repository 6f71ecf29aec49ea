"""How a table file writes what it holds: its charset, separator, amounts and dates."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Literal

from msgspec import Struct

Formato = Literal["csv", "ndjson"]
Separador = Literal["coma", "puntoycoma", "tab"]
Decimal = Literal["coma", "punto"]
Fecha = Literal["dma", "mda"]

SEPARATORS: dict[Separador, str] = {"coma": ",", "puntoycoma": ";", "tab": "\t"}
DECIMALS: dict[Decimal, str] = {"coma": ",", "punto": "."}

CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "utf-16": "utf-16-le",  # without a byte order mark, as browsers read it
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "iso-8859-1": "cp1252",  # as browsers read it: its control characters are windows-1252's signs
    "latin1": "cp1252",
    "iso-8859-15": "iso8859-15",
}


class Dialect(Struct, frozen=True):
    """What a file's own text does not say. None of it is guessed.

    `decimal` says that amounts are in units, with that mark before the cents; without it they are whole cents.
    `fecha` is the order of day, month and year; without it times are RFC 3339. `zone` is that of times without an
    offset. `separador` and `bom` are for a file that is written. `say` is how a person gives one of these, by its name
    and value: `decimal=coma`, or `--decimal coma`."""

    charset: str = "utf-8"
    separador: Separador = "coma"
    decimal: Decimal | None = None
    fecha: Fecha | None = None
    zone: tzinfo = UTC
    bom: bool = False
    say: Callable[[str, str], str] = "{}={}".format

    @property
    def plain(self) -> bool:
        """Whether a file is written as PostgreSQL writes it."""
        return self.separador == "coma" and self.decimal is None and self.fecha is None
