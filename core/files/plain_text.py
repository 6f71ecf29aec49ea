"""Bytes of any charset and line end, as UTF-8 with line feeds, as they come."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, IncrementalDecoder, getincrementaldecoder

from core.files.dialect import CHARSETS
from core.files.lines import SLICE

BOMS = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how .xlsx and .ods, and .xls, begin
LONGEST_MARK = 4
FIRST_END = re.compile(rb"\n|\r\n|\r(?=[^\n])")
SWAPPED = bytes.maketrans(b"\r\n", b"\n\r")
NOT_TEXT = "\ufffd"  # what a byte that is none of the charset's is decoded to


class PlainText:
    """Turns a file into UTF-8 with line feeds; what is so already passes untouched.

    A byte order mark outweighs `charset`. The first line says whether lines end in a carriage return alone."""

    def __init__(self, charset: str = "utf-8") -> None:
        self.charset = charset
        self.workbook = False
        self._waiting = b""
        self._begun = self._swap = self._ends_known = False
        self._decoder: IncrementalDecoder | None = None

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """The text of the next bytes; some may wait for what follows, but none after the `last`."""
        if not self._begun:
            self._waiting += data
            if len(self._waiting) < LONGEST_MARK and not last:
                return b""
            data, self._waiting = self._begin(self._waiting), b""
        if self._decoder:
            data = self._decoder.decode(data, last).encode()
        if not self._ends_known:
            self._waiting += data
            end = FIRST_END.search(self._waiting)
            if not end and not last and len(self._waiting) < SLICE:
                return b""
            self._swap = end[0] == b"\r" if end else self._waiting.endswith(b"\r")
            self._ends_known = True
            data, self._waiting = self._waiting, b""
        return data.translate(SWAPPED) if self._swap else data

    def _begin(self, head: bytes) -> bytes:
        self._begun = True
        self.workbook = head.startswith(WORKBOOKS)
        codec = CHARSETS[self.charset]
        for mark, marked in BOMS.items():
            if head.startswith(mark):
                head, codec = head[len(mark) :], marked
                self.charset = marked.removesuffix("-le").removesuffix("-be")
                break
        if codec != "utf-8":
            self._decoder = getincrementaldecoder(codec)("replace")
        return head
