"""The same sales as spreadsheets and programs write them: what `scripts/bench-bulk` imports beside a plain CSV."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

Sale = tuple[int, int, int, datetime]  # usuario_id, venta in cents, ventas_productos, creacion
HEAD = ("usuario_id", "venta", "ventas_productos", "creacion")
COMMA = "decimal=coma"
DATES = "fecha=dma&zona=America/Argentina/Buenos_Aires"


def units(cents: int) -> str:
    """1500,00"""
    return f"{cents // 100},{cents % 100:02}"


def pesos(cents: int) -> str:
    """$ 1.500,00"""
    return f"$ {cents // 100:,}".replace(",", ".") + f",{cents % 100:02}"


def day_first(time: datetime) -> str:
    """31/01/2026 22:15:07"""
    return f"{time:%d/%m/%Y %H:%M:%S}"


class FileDialect(NamedTuple):
    """How a file writes sales, and the parameters with which it is imported."""

    query: str = ""
    separator: str = ","
    charset: str = "utf-8"
    amount: Callable[[int], str] = str
    time: Callable[[datetime], str] = datetime.isoformat

    @property
    def media(self) -> str:
        """The Content-Type; UTF-16 has a byte order mark."""
        return f"text/csv; charset={self.charset}" if self.charset == "windows-1252" else "text/csv"

    def write(self, file: Path, sales: Iterable[Sale]) -> None:
        with file.open("w", encoding=self.charset) as table:
            table.write(self.separator.join(HEAD) + "\n")
            table.writelines(
                self.separator.join((str(user), self.amount(cents), str(products), self.time(at))) + "\n"
                for user, cents, products, at in sales
            )


DIALECTS = {
    "plain": FileDialect(),
    "`;`": FileDialect(separator=";"),
    "tabs": FileDialect(separator="\t"),
    "windows-1252": FileDialect(charset="windows-1252"),
    "UTF-16": FileDialect(charset="utf-16"),
    "`1500,00`": FileDialect(COMMA, ";", amount=units),
    "`$ 1.500,00`": FileDialect(COMMA, ";", amount=pesos),
    "`31/01/2026 22:15:07`": FileDialect(DATES, time=day_first),
    "Excel in Spanish: all of `;`, windows-1252, pesos and dates": FileDialect(
        f"{COMMA}&{DATES}", ";", "windows-1252", pesos, day_first
    ),
}
