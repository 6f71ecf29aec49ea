"""One request on a connection and its answer: the ASGI messages (HTTP, version 2.3) between client and application."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from starlette.types import ASGIApp, Message
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

BODILESS = {204, 304}  # as any answer to HEAD (RFC 9110 section 6.4.1)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

log = logging.getLogger("uvicorn.error")


class Channel(Protocol):
    """What an exchange needs of its connection."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState

    def on_response_complete(self) -> None: ...


class Exchange:
    """What uvicorn calls a cycle, at less cost: an answer of one piece is one write, its head waits for its body.

    A header that holds a line break, and a body that is not as long as it says, raise RuntimeError."""

    def __init__(self, scope: dict[str, Any], channel: Channel, *, keep_alive: bool, expects: bool) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self._channel = channel
        self._expects = expects  # 100 Continue, before it sends its body
        self._pieces: list[bytes] = []
        self._size = 0
        self._news = False  # something came that receive() has not told
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""  # that waits
        self._chunked = self._bodiless = False
        self._left = 0  # bytes of body to come, if not chunked

    async def run(self, app: ASGIApp) -> None:
        """Has the application answer; what it raises, or leaves without an end, ends the connection."""
        task, tasks = asyncio.current_task(), self._channel.server_state.tasks
        assert task  # noqa: S101 - a coroutine of a task's own
        tasks.add(task)
        try:
            await app(self.scope, self.receive, self.send)
        except Exception:
            log.exception("Exception in ASGI application")
        finally:
            tasks.discard(task)
            if not self.response_complete:
                self._channel.transport.close()

    def feed(self, piece: bytes) -> None:
        """Takes a piece of the request's body."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER_LIMIT:
            self._channel.flow.pause_reading()
        self.set()

    def end(self) -> None:
        """The request is whole."""
        self.more_body = False
        self.set()

    @property
    def message_event(self) -> "Exchange":
        """What uvicorn sets when the client hung up."""
        return self

    def set(self) -> None:
        """Wakes who receives."""
        self._news = True
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        channel = self._channel
        if self._expects and not channel.transport.is_closing():
            self._expects = False
            channel.transport.write(CONTINUE)
        if not self.disconnected and not self.response_complete:
            channel.flow.resume_reading()
            if not self._news:
                self._waiter = channel.loop.create_future()
                await self._waiter
            self._news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        flow = self._channel.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message["headers"])
        else:
            self._write(message.get("body", b""), message.get("more_body", False))

    def _begin(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """The head: uvicorn's own headers and these, and how long the body is (RFC 9112 section 6)."""
        said = dict(headers)
        length = said.get(b"content-length")
        fields = [*self._channel.server_state.default_headers, *headers]
        if said.get(b"connection") == b"close":
            self.keep_alive = False
        elif not self.keep_alive:
            fields.append((b"connection", b"close"))
        self._bodiless = status in BODILESS or self.scope["method"] == "HEAD"
        self._chunked = length is None and not self._bodiless
        if self._chunked:
            fields.append((b"transfer-encoding", b"chunked"))
        self._left = int(length or 0)
        head = STATUS_LINE[status] + b"\r\n".join(map(b": ".join, fields)) + b"\r\n\r\n"
        if len(head.splitlines()) != len(fields) + 2:
            raise RuntimeError("a header holds a line break")
        self._head = head

    def _write(self, body: bytes, more: bool) -> None:
        if self._bodiless:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body is not as long as it says")
        if self._head:
            body, self._head = self._head + body, b""
        if body:
            self._channel.transport.write(body)
        if not more:
            self.response_complete = True
            self.set()
            if not self.keep_alive:
                self._channel.transport.close()
            self._channel.on_response_complete()
