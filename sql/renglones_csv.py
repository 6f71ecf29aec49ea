"""The records of a CSV file of sales (RFC 4180)."""

import csv
from collections.abc import Iterator
from io import StringIO

import msgspec

from core.files.lines import SLICE
from sql.renglones import Renglon, Renglones, encode

COLUMNS = Renglon.__struct_fields__
REQUIRED = ("venta", "ventas_productos")
NOT_UTF8 = "\ufffd"  # what a byte that is not UTF-8 is decoded to


class Csv(Renglones):
    """A header in any order, then a sale per record; separated by `;` if the header is, as some spreadsheets do."""

    def __init__(self, default_owner: int | None, *, may_write_others: bool) -> None:
        super().__init__(default_owner, may_write_others=may_write_others)
        self._header: list[str] = []
        self._waiting = ""

    def parse(self, data: bytes, last: bool) -> Iterator[tuple[int, Renglon]]:
        text = self._waiting + data.decode(errors="replace")
        for line, cells in self._records(text if self.line > 1 else text.removeprefix("\ufeff"), last):
            if not self._header:
                self._read_header(line, cells)
            elif renglon := self._convert(line, cells):
                yield line, renglon
            if self.hopeless:
                return
        if last and not self._header:
            self.refuse(self.line, f"falta la cabecera: {','.join(COLUMNS)}")

    def _records(self, text: str, last: bool) -> Iterator[tuple[int, list[str]]]:
        """Each record and the line where it begins; one that the slice cuts waits for the next slice."""
        lines = list(StringIO(text, newline="\n"))
        if not self._header:
            self._delimiter = ";" if ";" in text.lstrip().partition("\n")[0] else ","
        done = 0
        while done < len(lines) and not self.hopeless:
            begin = done
            reader = csv.reader(lines[begin:], delimiter=self._delimiter, strict=True)
            try:
                for cells in reader:
                    if cells:
                        yield self.line + done, cells
                    done = begin + reader.line_num
            except csv.Error:
                cut = begin + reader.line_num == len(lines) and sum(map(len, lines[done:])) < SLICE
                if cut and not last:
                    break
                self.refuse(self.line + done, "no es un registro CSV (RFC 4180)")
                done += 1
        self._waiting = "".join(lines[done:])
        self.line += done

    def _read_header(self, line: int, cells: list[str]) -> None:
        self._header = names = [cell.strip() for cell in cells]
        if NOT_UTF8 in "".join(names):
            self.refuse(line, "no está en UTF-8", hopeless=True)
            return
        wrong = {
            name: f"no es una columna; son: {', '.join(COLUMNS)}" for name in names if name not in COLUMNS
        }
        wrong |= {name: "es una columna repetida" for name in COLUMNS if names.count(name) > 1}
        wrong |= {name: "falta esta columna" for name in REQUIRED if name not in names}
        for name, mensaje in wrong.items():
            self.refuse(line, mensaje, name[:100], hopeless=True)

    def _convert(self, line: int, cells: list[str]) -> Renglon | None:
        if len(cells) != len(self._header):
            self.refuse(
                line, f"debe tener {len(self._header)} columnas, como la cabecera; tiene {len(cells)}"
            )
            return None
        values = {name: _number(cell) for name, cell in zip(self._header, cells, strict=True) if cell}
        try:
            return msgspec.convert(values, Renglon)
        except msgspec.ValidationError:
            if NOT_UTF8 not in "".join(cells):
                return self.explain(line, encode(values))
        self.refuse(line, "no está en UTF-8")
        return None


def _number(cell: str) -> int | str:
    """The number in a cell of ASCII digits; any other text as it is, to be refused where a number must be."""
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 20 else cell
