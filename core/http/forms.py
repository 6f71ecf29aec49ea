"""Forms: their media types, and a file that comes in one (RFC 7578), as browsers and `curl -F` send it."""

from collections.abc import AsyncIterator
from pathlib import PurePath

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Receive

from core.http.streams import Stream
from core.problems import Problem, invalid

FORM = "application/x-www-form-urlencoded"
FORM_DATA = "multipart/form-data"
FIELD = "archivo"


class FormFile(Stream):
    """The file in the field FIELD of a form that has no other; its form's boundary is no part of what is read.

    `media` is the file's own type, once it begins; `suffix` that of its name, like `.csv`.
    Raises Problem 422 for any other form."""

    def __init__(self, receive: Receive, boundary: bytes, *, longest: float, most: int) -> None:
        super().__init__(receive, FORM_DATA, longest=longest, most=most)
        self.suffix = ""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
                "on_end": self._end,
            },
        )
        self._name, self._value, self._content = bytearray(), bytearray(), bytearray()
        self._headers: dict[str, str] = {}
        self._parts = 0
        self._known = self._ended = False
        self._pieces = super()._received()

    async def _received(self) -> AsyncIterator[bytes]:
        more = await self._feed()
        while more or self._content:
            piece = bytes(self._content)
            self._content.clear()
            yield piece
            more = await self._feed()

    async def _feed(self) -> bool:
        """Parses the next bytes of the body; False when there are no more."""
        async for piece in self._pieces:
            try:
                self._parser.write(piece)
            except MultipartParseError:
                raise _not_a_form() from None
            return True
        if not self._known:
            raise invalid(FIELD, "es obligatorio")
        if not self._ended:
            raise _not_a_form()
        return False

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise invalid("cuerpo", f"debe tener un solo campo: {FIELD}")

    def _end_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        _, disposition = parse_options_header(self._headers.get("content-disposition"))
        name = disposition.get(b"name", b"").decode("utf-8", "replace")
        if name != FIELD:
            raise invalid(name[:100] or "cuerpo", f"no es un campo conocido; el archivo va en {FIELD}")
        media, parameters = parse_options_header(self._headers.get("content-type"))
        self.media = media.decode("latin-1").lower()
        self.charset = parameters.get(b"charset", b"").decode("latin-1").lower()
        self.suffix = PurePath(disposition.get(b"filename", b"").decode("utf-8", "replace")).suffix.lower()
        self._known = True

    def _end(self) -> None:
        self._ended = True


def _not_a_form() -> Problem:
    return invalid("cuerpo", "no es multipart/form-data bien formado (RFC 7578)")
