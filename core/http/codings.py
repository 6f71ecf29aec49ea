"""Content codings (RFC 9110 section 8.4.1): zstd (RFC 8878) and gzip (RFC 1952)."""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator, Callable

from starlette.types import Scope

from core.http import negotiation
from core.http.messages import values
from core.problems import CODED_BODY, Problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODINGS = ("zstd", "gzip")  # the better first
LEAST = 1024  # bytes that are worth it
AT_ONCE = 32 * 1024  # bytes that take less than half a millisecond
VARY = (b"vary", b"Accept-Encoding")
GZIP = 31  # zlib's word for gzip's header and the largest window

FAST: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, 3),
    "gzip": lambda body: zlib.compress(body, 1, GZIP),
}
SMALL: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, 12),
    "gzip": lambda body: zlib.compress(body, 9, GZIP),
}


def chosen(scope: Scope) -> str:
    """The coding that the client wants most; "" for none."""
    return negotiation.coding(scope, CODINGS) if b"accept-encoding" in scope["header_names"] else ""


def check_plain(scope: Scope) -> None:
    """Raises Problem 415 for a request whose body is compressed (RFC 7694 section 3)."""
    if b"content-encoding" not in scope["header_names"]:
        return
    said = b",".join(values(scope, b"content-encoding")).decode("latin-1")
    if unknown := [name for name in map(str.strip, said.split(",")) if name.lower() not in ("", "identity")]:
        detail = f"El cuerpo viene comprimido ({', '.join(unknown)[:40]}): envíelo sin Content-Encoding"
        raise Problem(CODED_BODY, detail, headers=[(b"accept-encoding", b"identity")])


async def compressed(body: bytes, coding: str) -> bytes:
    """The body in `coding`; a long one is compressed in a thread, beside the event loop."""
    if len(body) <= AT_ONCE:
        return FAST[coding](body)
    return await asyncio.to_thread(FAST[coding], body)


async def stream(blocks: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """The blocks in `coding`, each compressed in a thread: as few pieces as there are blocks, or fewer."""
    compressor = zstd.ZstdCompressor(3) if coding == "zstd" else zlib.compressobj(1, wbits=GZIP)
    async for block in blocks:
        if piece := await asyncio.to_thread(compressor.compress, block):
            yield piece
    yield await asyncio.to_thread(compressor.flush)
