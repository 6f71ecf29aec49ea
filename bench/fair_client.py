"""A client that costs little: HTTP/1.1 on one connection of its own, and the answers it got."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Seen:
    """How long answers took, in seconds, and their statuses; 0 for a connection that was cut."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def of(self, status: int) -> int:
        return self.statuses[status]


class Peer:
    """One connection to the server at `url`, opened anew when it was cut."""

    def __init__(self, url: str, token: str = "", **headers: str) -> None:
        parts = urlsplit(url)
        self._place = parts.hostname, parts.port
        self._token = token
        self._headers = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._halves: list[asyncio.StreamWriter] = []

    async def ask(
        self, method: str, path: str, body: object = None, *, media: str = "application/json"
    ) -> int:
        """The status; 0 when the connection was cut."""
        status, _ = await self.read(method, path, body, media=media)
        return status

    async def read(
        self, method: str, path: str, body: object = None, *, media: str = "application/json"
    ) -> tuple[int, bytes]:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(*self._place)
            reader, writer = self._streams
            writer.write(self.head(method, path, len(data), media) + data)
            return await self._answer(reader)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0, b""

    def head(self, method: str, path: str, length: int, media: str) -> bytes:
        authorization = f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        of_body = f"Content-Type: {media}\r\nContent-Length: {length}\r\n" if length else ""
        return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{authorization}{of_body}{self._headers}\r\n".encode()

    async def half(
        self, method: str, path: str, beginning: bytes, length: int, media: str
    ) -> asyncio.StreamWriter:
        """A request of which only a beginning is sent."""
        _, writer = await asyncio.open_connection(*self._place)
        self._halves.append(writer)
        writer.write(self.head(method, path, length, media) + beginning)
        await writer.drain()
        return writer

    async def keep_asking(
        self, seen: Seen, ends: float, method: str, path: str, body: object = None, *, pause: float = 0
    ) -> None:
        """Asks again and again until `ends`."""
        while time.monotonic() < ends:
            began = time.monotonic()
            seen.statuses[await self.ask(method, path, body)] += 1
            seen.seconds.append(time.monotonic() - began)
            await asyncio.sleep(pause)

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None
        while self._halves:
            self._halves.pop().close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(b" ", 2)[1])
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
        else:
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = await reader.readexactly(int(length)) if length else b""
        if b"connection: close" in head:
            self.close()
        return status, body


@asynccontextmanager
async def at_work(*offenders: object) -> AsyncIterator[None]:
    """The offenders work for the length of the block."""
    tasks = [asyncio.ensure_future(offender) for offender in offenders]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
