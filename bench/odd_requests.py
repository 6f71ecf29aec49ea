"""Requests as bytes, each with something odd in one place: its line, its path, its query or one of its headers."""

import os
import random
import re
from typing import Any

from msgspec import Struct

ODD = [
    *(b"", b" ", b"\0", b"\t", b"\x01", b"\x7f", b"\x80", b"\xff\xfe", b"\r", b"\n", b"\r\n", b"\r\nX: y"),
    *("ñ".encode(), "\ud800".encode("utf-8", "surrogatepass"), "😀".encode(), "٣".encode(), b"\xc0\xaf"),
    *(b"%", b"%0", b"%zz", b"%00", b"%0d%0a", b"%2F", b"%2e%2e%2f", b"%ff%fe", b"%ED%A0%80", b"%C3%B1", b"+"),
    *(b"0", b"-1", b"1.5", b"1e400", b"NaN", b"Infinity", b"0x10", b"1_000", b"9223372036854775807"),
    *(b"9223372036854775808", b"-9223372036854775809", b"9" * 400, b"00000001", b"true", b"null", b"None"),
    *(
        b"..",
        b"../../etc/passwd",
        b"/",
        b"//",
        b"\\",
        b"?",
        b"#",
        b";",
        b"&",
        b"&&=&",
        b"=",
        b"*",
        b",",
        b",,,",
    ),
    *(
        b"'",
        b'"',
        b"' OR 1=1 --",
        b"$1",
        b"%s",
        b"%(id)s",
        b"{}",
        b"[]",
        b'{"a":1}',
        b"<script>",
        b"${x}",
        b"\\x00",
    ),
    *(b"a" * 300, b"a" * 9000, b"\xff" * 3000, b"a," * 2000, b"Bearer", b"Bearer ", b"Bearer " + b"e" * 3000),
    *(b"2026-01-31", b"2026-02-30", b"9999-12-31", b"0000-00-00", b"2026-01-31T25:00:00Z", b"-infinity"),
    *(
        b'W/"1"',
        b'"1", "2"',
        b'"',
        b"bytes=0-",
        b"bytes=-1,2-",
        b"chunked",
        b"gzip",
        b"100-continue",
        b"close",
    ),
    *(
        b"application/json",
        b"text/csv",
        b"application/x-ndjson",
        b"text/csv; charset=x",
        b"multipart/form-data",
    ),
    *(
        b"127.0.0.1",
        b"::1",
        b"[::",
        b"1.2.3.4, 5.6.7.8",
        b"https",
        b"https://example.com",
        b"example.com:99999",
    ),
]
HEADERS = [
    *("Accept", "Accept-Encoding", "Access-Control-Request-Headers", "Access-Control-Request-Method"),
    *(
        "Authorization",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "Cookie",
        "Expect",
    ),
    *(
        "Forwarded",
        "Host",
        "If-Match",
        "If-Modified-Since",
        "If-None-Match",
        "Idempotency-Key",
        "Origin",
        "Range",
    ),
    *("TE", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "X-Forwarded-For", "X-Forwarded-Proto"),
    *("X-Request-ID", "X-Rara"),
]
# Where what is odd changes how long the request is, or what the connection is for.
FRAMING = {"Connection", "Content-Length", "Expect", "Transfer-Encoding", "Upgrade"}
RANDOM = 0.3  # of the values; the others are chosen
BODIES = {"POST": b"{}", "PUT": b"{}", "PATCH": b"{}"}


class OddPlace(Struct, frozen=True):
    """Where something odd may stand in a request to an operation: the line, the path, a query, a header or its name."""

    method: str
    path: str
    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.kind} {self.name}".rstrip()


class OddRequest(Struct, frozen=True):
    """`unending` says that the server may rightly wait for more of it."""

    place: OddPlace
    value: bytes
    sent: bytes
    unending: bool

    def __str__(self) -> str:
        return f"{self.place} {self.value[:40]!r}"


def places(description: dict[str, Any]) -> list[OddPlace]:
    """Every place of every operation of an OpenAPI description."""
    return [
        place
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
        for place in _places_of(method.upper(), path, _parameters(description, operation))
    ]


def odd(place: OddPlace, token: str) -> OddRequest:
    """A request with a value chosen by chance in this place, and nothing wrong elsewhere."""
    value = os.urandom(random.randint(1, 60)) if random.random() < RANDOM else random.choice(ODD)
    target = re.sub("{.*?}", "1", place.path).encode()
    line = [place.method.encode(), target, b"HTTP/1.1"]
    headers = {
        b"Host": b"127.0.0.1",
        b"Connection": b"close",
        b"Authorization": f"Bearer {token}".encode(),
    }
    if body := BODIES.get(place.method, b""):
        headers |= {b"Content-Type": b"application/json", b"Content-Length": b"%d" % len(body)}
    match place.kind:
        case "line":
            line[random.randrange(3)] = value
        case "path":
            before, name, after = re.split("({.*?})|$", place.path, maxsplit=1)
            line[1] = (
                before.encode() + (b"" if name or before.endswith("/") else b"/") + value + after.encode()
            )
        case "query":
            line[1] += b"?" + (place.name.encode() + b"=" if place.name else b"") + value
        case "header":
            headers[place.name.encode()] = value
        case "name":
            headers[value] = b"1"
    head = b"\r\n".join([b" ".join(line), *(name + b": " + text for name, text in headers.items())])
    unending = place.kind in ("line", "name") or place.name in FRAMING or b"\r" in value or b"\n" in value
    return OddRequest(place, value, head + b"\r\n\r\n" + body, unending)


def _parameters(description: dict[str, Any], operation: dict[str, Any]) -> list[dict[str, Any]]:
    """An operation's, those that it refers to included."""
    shared = description["components"].get("parameters", {})
    return [
        shared[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter
        for parameter in operation.get("parameters", ())
    ]


def _places_of(method: str, path: str, parameters: list[dict[str, Any]]) -> list[OddPlace]:
    queries = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    headers = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}
    return [
        *(OddPlace(method, path, kind) for kind in ("line", "path", "name")),
        *(OddPlace(method, path, "query", name) for name in sorted(queries | {"", "rara"})),
        *(OddPlace(method, path, "header", name) for name in sorted(headers | set(HEADERS))),
    ]
