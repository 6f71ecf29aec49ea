"""Where a request's body ends: after a length that was said, or after its last chunk (RFC 9112 sections 6 and 7)."""

import re
from typing import Protocol

from core.http.request_head import TOKEN, bad, field
from core.problems import LONG_HEAD, Problem

TURN = 64 * 1024  # bytes that are read at a time, so that others have theirs
TURN_LINES = 1000  # of chunks and trailers, likewise
MOST_EXTENSIONS = 16 * 1024  # bytes of chunk extensions in one body
MOST_TRAILERS = 16 * 1024  # bytes of fields after a body
LONGEST_CHUNK_LINE = MOST_EXTENSIONS + 32

QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
EXTENSION = rb"[ \t]*;[ \t]*" + TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + TOKEN + rb"|" + QUOTED + rb"))?"
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:" + EXTENSION + rb")*)")
LINE_BEGUN = re.compile(rb"[\t -~\x80-\xff]*\r?")


class Framing(Protocol):
    """The bytes of one body among those of a connection."""

    whole: bool

    def take(self, buffer: bytes) -> tuple[bytes, int]:
        """The body's next bytes, and how many of the buffer's they took. Raises Problem 400 or 431."""


class Sized:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.whole = not length

    def take(self, buffer: bytes) -> tuple[bytes, int]:
        piece = buffer[: min(self.left, TURN)]
        self.left -= len(piece)
        self.whole = not self.left
        return piece, len(piece)


class Chunked:
    """A body in chunks. Extensions are ignored, and so are the fields of the trailer (RFC 9110 section 6.5.1)."""

    def __init__(self) -> None:
        self.whole = False
        self._left = 0  # bytes of the chunk
        self._in_chunk = self._in_trailer = False
        self._extensions = self._trailers = 0  # bytes so far

    def take(self, buffer: bytes) -> tuple[bytes, int]:
        pieces, at, end, lines = [], 0, min(len(buffer), TURN), 0
        while at < end and lines < TURN_LINES and not self.whole:
            if self._left:
                piece = buffer[at : min(at + self._left, end)]
                pieces.append(piece)
                self._left -= len(piece)
                at += len(piece)
                continue
            line_end = buffer.find(b"\r\n", at)
            if line_end < 0:
                self._check_begun(buffer[at:])
                break
            line = buffer[at:line_end]
            at, lines = line_end + 2, lines + 1
            if self._in_chunk:
                self._end_chunk(line)
            elif self._in_trailer:
                self._read_trailer(line)
            else:
                self._begin_chunk(line)
        return b"".join(pieces), at

    def _begin_chunk(self, line: bytes) -> None:
        """RFC 9112 section 7.1: the size in hexadecimal, and extensions."""
        known = CHUNK_LINE.fullmatch(line)
        if not known or len(line) > LONGEST_CHUNK_LINE:
            raise bad("un trozo del cuerpo no empieza con su tamaño")
        self._extensions += len(known[2])
        if self._extensions > MOST_EXTENSIONS:
            raise bad(f"las extensiones de los trozos pasan de {MOST_EXTENSIONS} bytes")
        self._left = int(known[1], 16)
        self._in_chunk = self._left > 0
        self._in_trailer = not self._in_chunk

    def _end_chunk(self, line: bytes) -> None:
        if line:
            raise bad("un trozo del cuerpo es más largo que su tamaño")
        self._in_chunk = False

    def _read_trailer(self, line: bytes) -> None:
        """RFC 9112 section 7.1.2: fields, and an empty line."""
        self._trailers += len(line)
        if self._trailers > MOST_TRAILERS:
            raise Problem(LONG_HEAD, f"Las cabeceras después del cuerpo pasan de {MOST_TRAILERS} bytes")
        if line:
            field(line)
        else:
            self.whole = True

    def _check_begun(self, line: bytes) -> None:
        """A line that has not ended is refused as early as a whole one."""
        if self._in_chunk:
            if line != b"\r":
                raise bad("un trozo del cuerpo es más largo que su tamaño")
        elif self._in_trailer:
            if len(line.removesuffix(b"\r")) + self._trailers > MOST_TRAILERS:
                raise Problem(LONG_HEAD, f"Las cabeceras después del cuerpo pasan de {MOST_TRAILERS} bytes")
        elif len(line) > LONGEST_CHUNK_LINE:
            raise bad(f"las extensiones de los trozos pasan de {MOST_EXTENSIONS} bytes")
        if not LINE_BEGUN.fullmatch(line):
            raise bad("un trozo del cuerpo tiene un carácter de control, o un fin de línea que no es CRLF")
