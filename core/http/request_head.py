"""The head of a request: its line and its fields, read as RFC 9112 sections 2 to 6 have it."""

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from ipaddress import IPv6Address

from core.problems import (
    BAD_HTTP,
    LONG_HEAD,
    LONG_TARGET,
    UNKNOWN_CODING,
    UNKNOWN_EXPECTATION,
    UNKNOWN_METHOD,
    UNKNOWN_VERSION,
    Problem,
)

MOST_HEAD = 64 * 1024  # bytes of a request line, its fields and the empty line that ends them
MOST_LINE = 16 * 1024  # bytes of a request line
MOST_FIELDS = 1000
LONGEST_LENGTH = 18  # digits of a Content-Length
SHORT_HEAD = 4096  # bytes; the fields of longer ones are not remembered
FEW_FIELDS = 50  # nor those of heads with more: they take fifty times the memory of their bytes
MOST_KNOWN = 512  # heads whose fields are remembered
LONGEST_METHOD = 50  # bytes that are shown of one
CONTROLS = {b"connection", b"content-length", b"expect", b"transfer-encoding"}

# RFC 9110 section 9.1 and RFC 5789; CONNECT makes tunnels, which this server does not.
METHODS = {
    name.encode(): name
    for name in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
}

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# What has matched is not tried again in other ways (`*+`): a long line that is no field is refused at once.
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*+((?:[\t -~\x80-\xff]*[!-~\x80-\xff])?+)[ \t]*+")
# Visible ASCII, without # and, in a path, without ? and the \ that some take for a /
PATH, QUERY = rb"(/[!-\"$->@-\[\]-~]*)", rb"(?:\?([!-\"$-~]*))?"
METHOD = re.compile(TOKEN)
ORDINARY_LINE = re.compile(rb"([A-Z]+) " + PATH + QUERY + rb" HTTP/1\.1")
LINE = re.compile(rb"(" + TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
TARGET = re.compile(rb"(?:(?i:https?)://([^/?#]+))?" + PATH + rb"?" + QUERY)
HOST = re.compile(
    rb"(?:(?:[\w.~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+|\[([0-9A-Fa-f:.]+)\])(?::\d*)?"
)  # RFC 3986 section 3.2

Field = tuple[bytes, bytes]


def field(line: bytes) -> Field:
    """RFC 9112 section 5: a name in lower case and its value. Raises Problem."""
    parts = FIELD.fullmatch(line)
    if not parts:
        raise bad("una cabecera no es «Nombre: valor», o tiene un carácter de control")
    name, value = parts.groups()
    return name.lower(), value


class Fields:
    """The fields of a head, their names in lower case. `said` has what comes twice as one list (RFC 9110 section 5.3);
    `plain` fields have a good Host, and say nothing of the body or of the connection. Raises Problem."""

    __slots__ = ("headers", "plain", "said")

    def __init__(self, lines: bytes) -> None:
        if lines.count(b"\r\n") >= MOST_FIELDS:
            raise Problem(LONG_HEAD, f"La petición tiene más de {MOST_FIELDS} cabeceras")
        parse = known_field if len(lines) < SHORT_HEAD else field
        self.headers = tuple(map(parse, lines.split(b"\r\n"))) if lines else ()
        self.said = dict(self.headers)
        if len(self.said) < len(self.headers):
            self.said = combined(self.headers)
        self.plain = self.said.keys().isdisjoint(CONTROLS) and is_host(self.said.get(b"host", b""))


# A client's next request has mostly the same fields; behind a proxy, all but one or two.
KNOWN: dict[bytes, Fields] = {}
known_field = lru_cache(1024)(field)


def new_fields(lines: bytes) -> Fields:
    """Fields, which are remembered if they take little memory, in the place of the oldest. Raises Problem."""
    fields = Fields(lines)
    if len(lines) < SHORT_HEAD and len(fields.headers) <= FEW_FIELDS:
        if len(KNOWN) >= MOST_KNOWN:
            del KNOWN[next(iter(KNOWN))]
        KNOWN[lines] = fields
    return fields


class RequestHead:
    """What a request says before its body. `read` raises Problem; what it has understood by then stays.

    `length` is the bytes of the body, None when it comes in chunks; `expects` means 100-continue. The names in
    `headers` are in lower case, and `names` are those that are there."""

    method = ""
    version = "1.1"
    path = b"/"
    query = b""
    headers: Sequence[Field] = ()
    names: Collection[bytes] = ()
    length: int | None = 0
    keep_alive = True
    expects = False

    def read(self, head: bytes) -> None:
        """Reads all lines of a head, without the empty one that ends it."""
        line, _, lines = head.partition(b"\r\n")
        try:
            authority = self.read_line(line)
            fields = KNOWN.get(lines) or new_fields(lines)
        except Problem:
            some = lines.split(b"\r\n", MOST_FIELDS)[:MOST_FIELDS]
            self.headers = [field(line) for line in some if FIELD.fullmatch(line)]
            self.names = dict(self.headers).keys()
            raise
        self.headers, self.names = fields.headers, fields.said.keys()
        if not fields.plain or authority is not None or self.version != "1.1":
            said = fields.said
            self._read_host(said.get(b"host"), authority)
            self._read_framing(said.get(b"content-length"), said.get(b"transfer-encoding"))
            self._read_persistence(said.get(b"connection", b""))
            self._read_expectation(said.get(b"expect"))

    def read_line(self, line: bytes) -> bytes | None:
        """RFC 9112 section 3: method, target and version; the host that the target names, if it does."""
        ordinary = ORDINARY_LINE.fullmatch(line)
        if ordinary is None or len(line) > MOST_LINE:
            return self._read_odd_line(line)
        method, self.path, query = ordinary.groups()
        if query:
            self.query = query
        self.method = METHODS.get(method) or unknown(method)
        return None

    def _read_odd_line(self, line: bytes) -> bytes | None:
        if len(line) > MOST_LINE:
            raise long_line(line)
        parts = LINE.fullmatch(line)
        if not parts:
            raise bad("la primera línea no es «método destino HTTP/1.1»")
        method, target, major, minor = parts.groups()
        if major != b"1":
            raise Problem(UNKNOWN_VERSION, "Solo se admiten HTTP/1.1 y HTTP/1.0")
        self.version = "1.0" if minor == b"0" else "1.1"  # RFC 9110 section 2.5
        self.method = METHODS.get(method) or unknown(method)
        if target == b"*" and self.method == "OPTIONS":
            self.path = target
            return None
        form = TARGET.fullmatch(target)
        if not form or form[1] is form[2] is None:
            raise bad("el destino no es una ruta, o tiene un fragmento o un carácter que va como %XX")
        authority: bytes | None = form[1]
        self.path, self.query = form[2] or b"/", form[3] or b""
        return authority

    def _read_host(self, host: bytes | None, authority: bytes | None) -> None:
        """RFC 9112 section 3.2: one, and well formed; HTTP/1.0 may do without. A target's own host counts instead."""
        if host is None:
            if self.version != "1.0":
                raise bad("falta la cabecera Host")
        elif not is_host(host):
            raise bad("la cabecera Host no es un nombre, o viene dos veces")
        if authority is not None:
            if not is_host(authority):
                raise bad("el destino no nombra bien su servidor")
            self.headers = [(b"host", authority), *(said for said in self.headers if said[0] != b"host")]

    def _read_framing(self, length: bytes | None, coding: bytes | None) -> None:
        """RFC 9112 section 6: how long the body is, said in one way only."""
        if coding is not None:
            if length is not None or self.version == "1.0":
                raise bad("Transfer-Encoding no va con Content-Length ni con HTTP/1.0")
            codings = members(coding)
            if not codings or b"chunked" in codings[:-1]:
                raise bad("Transfer-Encoding debe terminar en chunked, una sola vez")
            if codings != [b"chunked"]:
                raise Problem(UNKNOWN_CODING, "Solo se admite Transfer-Encoding: chunked")
            self.length = None
        elif length is not None:
            if not length.isdigit() or len(length) > LONGEST_LENGTH:
                raise bad("Content-Length no es un número, o viene dos veces")
            self.length = int(length)

    def _read_persistence(self, connection: bytes) -> None:
        """RFC 9112 section 9.3."""
        options = members(connection)
        wanted = self.version == "1.1" or b"keep-alive" in options
        self.keep_alive = wanted and b"close" not in options

    def _read_expectation(self, expectation: bytes | None) -> None:
        """RFC 9110 section 10.1.1; of HTTP/1.0 it is ignored."""
        if expectation is not None and self.version == "1.1":
            if members(expectation) != [b"100-continue"]:
                raise Problem(UNKNOWN_EXPECTATION, "Solo se admite Expect: 100-continue")
            self.expects = self.length != 0


def combined(headers: Sequence[Field]) -> dict[bytes, bytes]:
    """Of fields that come twice, one list."""
    said: dict[bytes, bytes] = {}
    for name, value in headers:
        said[name] = said[name] + b", " + value if name in said else value
    return said


def bad(why: str) -> Problem:
    return Problem(BAD_HTTP, f"La petición no es HTTP/1.1: {why}")


def long_line(line: bytes) -> Problem:
    """RFC 9112 section 3: whether the method is too long, or the target. Raises Problem."""
    method = METHOD.match(line)
    if method and len(method[0]) > LONGEST_METHOD:
        unknown(method[0])
    return Problem(LONG_TARGET, f"La primera línea de la petición pasa de {MOST_LINE} bytes")


def unknown(method: bytes) -> str:
    shown = method[:LONGEST_METHOD].decode("ascii")
    raise Problem(UNKNOWN_METHOD, f"Este servicio no conoce el método {shown}")


def members(value: bytes) -> list[bytes]:
    """RFC 9110 section 5.6.1: the members of a list in lower case, the empty ones left out."""
    return [member for part in value.split(b",") if (member := part.strip(b" \t").lower())]


@lru_cache(256)
def is_host(host: bytes) -> bool:
    known = HOST.fullmatch(host) if len(host) < 256 else None
    return known is not None and (known[1] is None or _is_ipv6(known[1].decode("ascii")))


def _is_ipv6(address: str) -> bool:
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return True
