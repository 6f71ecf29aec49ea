"""The lines of a file of sales: rows for COPY, and what is wrong with the others."""

from abc import ABC, abstractmethod
from codecs import BOM_UTF8
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from core.http.validation import Error, body_decoder
from core.problems import Problem
from sql.ventas import Id, Importe, Productos

Formato = Literal["csv", "ndjson"]
MAX_ERRORS = 100
NOT_JSON: Error = {"campo": "cuerpo", "mensaje": "no es JSON (RFC 8259) en UTF-8"}


class Renglon(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A sale as a file has it. A time without an offset is UTC; `id`, which an export writes, is ignored."""

    venta: Importe
    ventas_productos: Productos
    usuario_id: Id | None = None
    creacion: datetime | None = None
    id: object = None


class LineError(Struct, frozen=True):
    """What is wrong in a line, by the number of the line where its record begins."""

    linea: int
    campo: str
    mensaje: str


encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder(Renglon).decode
_explain = body_decoder(Renglon)


class Renglones(ABC):
    """Reads a file slice by slice; `errores` is what is wrong so far, `hopeless` that it makes no sense to go on."""

    def __init__(self, default_owner: int | None, *, may_write_others: bool) -> None:
        self.default_owner = default_owner
        self.may_write_others = may_write_others
        self.errores: list[LineError] = []
        self.hopeless = False
        self.filas = 0
        self.line = 1

    def read(self, data: bytes, *, last: bool = False) -> bytes:
        """The rows of a slice of whole lines, for COPY … (FORMAT csv, NULL 'null')."""
        if self.hopeless:
            return b""
        rows = []
        for line, renglon in self.parse(data, last):
            owner = renglon.usuario_id or self.default_owner
            if owner is None:
                self.refuse(line, "es obligatorio", "usuario_id")
            elif owner != self.default_owner and not self.may_write_others:
                self.refuse(line, "debe ser el suyo: las ventas de otro las importa un admin", "usuario_id")
            else:
                rows.append((line, owner, renglon.venta, renglon.ventas_productos, renglon.creacion))
        self.filas += len(rows)
        # A JSON array of numbers and times is a line of CSV, but for its brackets.
        return _encode_lines(rows).translate(None, b"[]")

    def refuse(self, line: int, mensaje: str, campo: str = "cuerpo", *, hopeless: bool = False) -> None:
        self.errores.append(LineError(line, campo, mensaje))
        self.hopeless = self.hopeless or hopeless or len(self.errores) >= MAX_ERRORS

    @abstractmethod
    def parse(self, data: bytes, last: bool) -> Iterator[tuple[int, Renglon]]:
        """Each good sale and its line; the bad ones are refused."""

    def explain(self, line: int, body: bytes) -> Renglon | None:
        """The sale in a JSON object; one that does not fit is refused, with all of its errors."""
        try:
            return _explain(body)  # type: ignore[no-any-return]
        except Problem as problem:
            for error in problem.errores or [NOT_JSON]:
                self.refuse(line, str(error["mensaje"]), str(error["campo"]))
            return None


class Ndjson(Renglones):
    """A JSON object per line."""

    def parse(self, data: bytes, last: bool) -> Iterator[tuple[int, Renglon]]:
        if self.line == 1:
            data = data.removeprefix(BOM_UTF8)
        for line, text in enumerate(data.split(b"\n"), self.line):
            if text.strip() and (renglon := self._decode(line, text)):
                yield line, renglon
            if self.hopeless:
                return
        self.line += data.count(b"\n")

    def _decode(self, line: int, text: bytes) -> Renglon | None:
        try:
            renglon = _decode(text)
        except (ValueError, RecursionError):
            return self.explain(line, text)
        # A repeated field leaves more quotes in the text than in what was understood of it.
        return renglon if text.count(b'"') == encode(renglon).count(b'"') else self.explain(line, text)
