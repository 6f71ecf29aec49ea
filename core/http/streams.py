"""Bodies of any length: read as they arrive, sent as they are made, and ended when the client is slow or gone."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from hashlib import sha256
from typing import TypeVar

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from core.http import codings
from core.http.messages import ClientGone, gone, too_large
from core.http.standing import while_standing
from core.problems import SLOW_BODY, Problem

T = TypeVar("T")
STALL_SECONDS = 20  # without a byte
LEAST_RATE = 8 * 1024  # bytes per second, on the whole


class Pace:
    """How long the other side may take for each piece: never STALL_SECONDS, nor less than LEAST_RATE in all.

    Nor may all pieces together take longer than `longest` seconds."""

    def __init__(self, longest: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._latest = self._loop.time() + STALL_SECONDS
        self._end = self._loop.time() + longest

    @asynccontextmanager
    async def piece(self) -> AsyncIterator[None]:
        """Raises TimeoutError when its block takes too long."""
        async with asyncio.timeout_at(min(self._latest, self._end, self._loop.time() + STALL_SECONDS)):
            yield

    def moved(self, size: int) -> None:
        self._latest += size / LEAST_RATE


class Stream:
    """The body of a request, of type `media`, to be iterated once; `digest` sees what is read.

    Where it is `kept`, it has been read, and is iterated from there. `charset` is what its Content-Type says, or empty.

    Raises ClientGone, and Problem: 408 when the client is too slow or takes longer than `longest` seconds, 413 for more
    than `most` bytes, if that is not 0."""

    def __init__(self, receive: Receive, media: str, charset: str = "", *, longest: float, most: int) -> None:
        self.media = media
        self.charset = charset
        self.whole = False
        self.digest = sha256()
        self.kept: AsyncIterator[bytes] | None = None
        self._receive = receive
        self._longest = longest
        self._most = most

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.kept or self._arriving()

    async def _arriving(self) -> AsyncIterator[bytes]:
        async for piece in self._received():
            self.digest.update(piece)
            yield piece

    async def _received(self) -> AsyncIterator[bytes]:
        pace, size = Pace(self._longest), 0
        while not self.whole:
            try:
                async with pace.piece():
                    message = await self._receive()
            except TimeoutError:
                raise Problem(SLOW_BODY, "El cuerpo llega demasiado lento") from None
            if message["type"] == "http.disconnect":
                raise gone(message)
            body: bytes = message.get("body", b"")
            size += len(body)
            if 0 < self._most < size:
                raise too_large(self._most)
            self.whole = not message.get("more_body", False)
            pace.moved(len(body))
            yield body


class Download(StreamingResponse):
    """A file sent block by block; `blocks` is closed at once when the client hangs up or reads too slowly, and when the
    caller's session ends.

    For a client that wants it, each block is compressed in a thread, beside the event loop.

    What fails before the first block is answered as a problem; after it, the connection is cut."""

    def __init__(
        self, blocks: AsyncGenerator[bytes, None], *, media: str, filename: str, longest: float
    ) -> None:
        headers = {
            "content-disposition": f'attachment; filename="{filename}"',
            "cache-control": "private, no-store",
        }
        super().__init__(blocks, media_type=media, headers=headers)
        self._blocks = blocks
        self._longest = longest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with while_standing(scope):
            await while_connected(self._send(scope, send), receive, after=0)

    async def _send(self, scope: Scope, send: Send) -> None:
        headers = [*self.raw_headers, codings.VARY]
        async with aclosing(self._blocks) as blocks:
            first = await anext(blocks, b"")
            coding = codings.chosen(scope) if len(first) > codings.LEAST else ""
            if coding:
                headers.append((b"content-encoding", coding.encode()))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] != "HEAD":
                whole = _chain(first, blocks)
                await self._send_pieces(codings.stream(whole, coding) if coding else whole, send)
        await send({"type": "http.response.body", "body": b""})

    async def _send_pieces(self, pieces: AsyncIterator[bytes], send: Send) -> None:
        pace = Pace(self._longest)
        async for piece in pieces:
            try:
                async with pace.piece():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                raise ClientGone from None
            pace.moved(len(piece))


async def _chain(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for block in others:
        yield block


async def while_connected(work: Awaitable[T], receive: Receive, *, after: float) -> T:
    """What `work` returns; it is cancelled, and ClientGone raised, when the client hangs up first.

    The watch begins `after` seconds, so that short work does not pay for it."""
    loop = asyncio.get_running_loop()
    watches: list[asyncio.Task[None]] = []
    reason: Exception = ClientGone()

    async def watch() -> None:
        nonlocal reason
        while (message := await receive())["type"] != "http.disconnect":
            pass
        reason = gone(message)
        limit.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as limit:
            timer = loop.call_later(after, lambda: watches.append(loop.create_task(watch())))
            try:
                return await work
            finally:
                timer.cancel()
                for task in watches:
                    task.cancel()
    except TimeoutError:
        if limit.expired():
            raise reason from None
        raise
