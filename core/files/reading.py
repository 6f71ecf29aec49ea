"""Files of rows, CSV or NDJSON: each line as a row of a given type, and what is wrong with the others."""

import asyncio
from abc import ABC, abstractmethod
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar, cast
from unicodedata import combining, normalize

import msgspec
from msgspec import Struct

from core.files.cells import FileColumn, columns, hint, read_column, reader, wanted
from core.files.dialect import Dialect, Formato
from core.files.lines import SLICE, LineTooLong, slices
from core.files.plain_text import NOT_TEXT, PlainText
from core.files.records import CsvRecords, Record
from core.files.refusals import Refusals
from core.problems import Problem

Row = TypeVar("Row", bound=Struct)
Numbered = list[tuple[int, Row]]
Decode = Callable[[bytes], Row]
Error = dict[str, object]

NOT_JSON: Error = {"campo": "cuerpo", "mensaje": "no es JSON (RFC 8259) en UTF-8"}
WORKBOOK = "es un libro de una planilla de cálculo: guárdelo como CSV y envíe ese archivo"
STRAY = "tiene un carácter NUL o una marca BOM en medio: ¿son dos archivos unidos?"
NULL, EMPTY = " o null", " o una celda vacía"  # how JSON and a table leave a value out

encode = msgspec.json.Encoder().encode


class Reader(ABC, Generic[Row]):
    """Reads a file slice by slice, wherever its bytes come from; `refusals` is what is wrong so far."""

    def __init__(self, row: type[Row], decode: Decode[Row]) -> None:
        self.refusals = Refusals()
        self.line = 1
        self._row = row
        self._decode_json = decode

    async def rows(self, chunks: AsyncIterator[bytes], *, whole: bool = True) -> AsyncIterator[Numbered[Row]]:
        """The good rows with their lines, slice by slice, with a turn of the event loop after each.

        It ends where the file is hopeless; of one that is not `whole`, what waits for more is not looked at."""
        try:
            async for data in slices(self.plain(chunks)):
                yield list(self.read(data, last=False))
                if self.refusals.hopeless:
                    return
                await asyncio.sleep(0)
            if whole:
                yield list(self.read(b"", last=True))
        except LineTooLong:
            self.refusals.refuse(self.line, f"pasa de {SLICE} bytes", hopeless=True)

    def plain(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The file as UTF-8 with line feeds."""
        return chunks

    @abstractmethod
    def read(self, data: bytes, *, last: bool) -> Iterator[tuple[int, Row]]:
        """The good rows of a slice of whole lines; the bad ones are refused."""

    def explain(self, line: int, body: bytes) -> Row | list[Error]:
        """The row in a JSON object, or all of what is wrong with it."""
        try:
            return self._decode_json(body)
        except Problem as problem:
            return list(problem.errores or [NOT_JSON])

    def refuse(self, line: int, errores: list[Error]) -> None:
        for error in errores:
            self.refusals.refuse(line, str(error["mensaje"]), str(error["campo"]))


class Ndjson(Reader[Row]):
    """A JSON object per line."""

    def __init__(self, row: type[Row], decode: Decode[Row]) -> None:
        super().__init__(row, decode)
        self._decode = msgspec.json.Decoder(row).decode
        self._blank = True

    def read(self, data: bytes, *, last: bool) -> Iterator[tuple[int, Row]]:
        if self.line == 1:
            data = data.removeprefix(BOM_UTF8)
        for line, text in enumerate(data.split(b"\n"), self.line):
            if text.strip() and (row := self._read_line(line, text)):
                yield line, row
            if self.refusals.hopeless:
                return
        self.line += data.count(b"\n")
        self._blank = self._blank and not data.strip()
        if last and self._blank:
            self.refusals.refuse(1, "el archivo está vacío")

    def _read_line(self, line: int, text: bytes) -> Row | None:
        try:
            row = self._decode(text)
            # A repeated field leaves more quotes in the text than in what was understood of it.
            if text.count(b'"') == encode(row).count(b'"'):
                return row
        except (ValueError, RecursionError):
            pass
        explained = self.explain(line, text)
        if isinstance(explained, list):
            self.refuse(line, explained)
            return None
        return explained


class Csv(Reader[Row]):
    """A header in any order and letter case, then a row per record, in a dialect."""

    def __init__(self, row: type[Row], decode: Decode[Row], dialect: Dialect) -> None:
        super().__init__(row, decode)
        self._dialect = dialect
        self._text = PlainText(dialect.charset)
        self._records = CsvRecords(self.refusals)
        self._columns = columns(row)
        self._header: list[FileColumn] = []
        self._readers: list[tuple[str, Any]] = []
        self._width = 0
        self._rows_in_order: Any = None

    async def plain(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            text = self._text.feed(chunk)
            if self._text.workbook:
                self.refusals.refuse(1, WORKBOOK, hopeless=True)
                return
            yield text
        yield self._text.feed(b"", last=True)

    def read(self, data: bytes, *, last: bool) -> Iterator[tuple[int, Row]]:
        if self.refusals.hopeless:
            return
        text = data.decode(errors="replace")
        spoiled = bool(self._spoiled(text))
        for records in self._records.read(text, last=last):
            if records and not self._header:
                self._read_header(*records.pop(0))
            if not self.refusals.hopeless:
                good = None if spoiled else self._convert_all(records)
                yield from self._convert_each(records) if good is None else good
            if self.refusals.hopeless:
                return
        self.line = self._records.line
        if last and not self._header:
            self.refusals.refuse(self.line, f"falta la cabecera: {','.join(self._columns)}")

    def _read_header(self, line: int, cells: list[str]) -> None:
        text = "".join(cells)
        if spoiled := self._spoiled(text):
            mensaje = f"tiene caracteres NUL{self._perhaps('utf-16')}" if "\0" in text else spoiled
            self.refusals.refuse(line, mensaje, hopeless=True)
            return
        written = [cell.strip() for cell in cells]
        while written and not written[-1]:
            written.pop()
        names = [_plain(cell) for cell in written]
        known = self._columns
        wrong = {
            cell or f"columna {n}": f"no es una columna; son: {', '.join(known)}"
            for n, (cell, name) in enumerate(zip(written, names, strict=True), 1)
            if name not in known
        }
        wrong |= {name: "es una columna repetida" for name in known if names.count(name) > 1}
        wrong |= {
            name: "falta esta columna"
            for name, column in known.items()
            if column.required and name not in names
        }
        for name, mensaje in wrong.items():
            self.refusals.refuse(line, mensaje, name[:100], hopeless=True)
        if not wrong:
            self._width = len(cells)
            self._header = [known[name] for name in names]
            self._readers = [(column.name, reader(column.kind, self._dialect)) for column in self._header]
            self._rows_in_order = list[_in_order(self._row, names)]  # type: ignore[misc]

    def _convert_all(self, records: list[Record]) -> list[tuple[int, Row]] | None:
        """The rows of records that are all good, much faster than one by one; None if one may not be."""
        lines = [line for line, _ in records]
        columns = zip(*[cells for _, cells in records], strict=True)
        try:
            read = [read_column(read, cells) for (_, read), cells in zip(self._readers, columns, strict=True)]
            rows = msgspec.convert(list(zip(*read, strict=True)), self._rows_in_order)
        except ValueError:  # of a record of another width, or a cell that does not fit
            return None
        return list(zip(lines, rows, strict=True))

    def _convert_each(self, records: list[Record]) -> Iterator[tuple[int, Row]]:
        """The good rows; the others are refused."""
        for line, cells in records:
            if spoiled := self._spoiled("".join(cells)):
                self.refusals.refuse(line, spoiled)
            elif row := self._convert(line, cells):
                yield line, row
            if self.refusals.hopeless:
                return

    def _convert(self, line: int, cells: list[str]) -> Row | None:
        names = len(self._header)
        if len(cells) != self._width and (len(cells) < names or any(map(str.strip, cells[names:]))):
            self.refusals.refuse(line, f"debe tener {names} columnas, como la cabecera; tiene {len(cells)}")
            return None
        values = {name: read(cell) for (name, read), cell in zip(self._readers, cells, strict=False) if cell}
        try:
            return msgspec.convert(values, self._row)
        except msgspec.ValidationError:
            bare = [cell.strip() for cell in cells]
            if bare != cells:
                return self._convert(line, bare)
            self._refuse_cells(line, cells, values)
            return None

    def _refuse_cells(self, line: int, cells: list[str], values: dict[str, Any]) -> None:
        explained = self.explain(line, encode(values))
        written = {
            column.name: (column.kind, cell) for column, cell in zip(self._header, cells, strict=False)
        }
        for error in explained if isinstance(explained, list) else []:
            campo = str(error["campo"])
            kind, cell = written.get(campo, ("text", ""))
            mensaje = wanted(kind, cell, self._dialect) or str(error["mensaje"]).replace(NULL, EMPTY)
            self.refusals.refuse(line, f"{mensaje}{hint(kind, cell, self._dialect)}", campo)

    def _spoiled(self, text: str) -> str:
        """What is wrong with a text of which something is no text; empty when all is."""
        if NOT_TEXT in text:
            return f"no está en {self._text.charset.upper()}{self._perhaps('windows-1252')}"
        return STRAY if "\0" in text or "\ufeff" in text else ""

    def _perhaps(self, charset: str) -> str:
        """What to try with a file that names no charset."""
        said = self._text.charset != "utf-8"
        return "" if said else f"; ¿es {charset}? Se lee con {self._dialect.say('charset', charset)}"


def _plain(name: str) -> str:
    """A column's name, however its letter case and accents were written."""
    return "".join(letter for letter in normalize("NFD", name.lower()) if not combining(letter))


def _in_order(row: type[Row], names: list[str]) -> type[Row]:
    """A type with the fields of a row type, read from an array that has those of `names`, in that order."""
    fields = {field.name: field for field in msgspec.structs.fields(row)}
    given = [(name, fields.pop(name).type) for name in names]
    others = [(field.name, field.type, field.default) for field in fields.values()]
    return cast(type[Row], msgspec.defstruct(row.__name__, [*given, *others], array_like=True))


def open_reader(row: type[Row], decode: Decode[Row], formato: Formato, dialect: Dialect) -> Reader[Row]:
    """What reads a file of that format; `decode` explains a row in JSON that does not fit, as a Problem.

    Of a dialect, NDJSON has none: JSON says it all."""
    return Csv(row, decode, dialect) if formato == "csv" else Ndjson(row, decode)
