"""One request on a connection and its answer: the ASGI messages (HTTP, version 2.3) between client and application."""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import ASGIApp, Message
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.server import ServerState

from core.http.request_head import RequestHead
from core.problems import Problem

BODILESS = {204, 304}  # as any answer to HEAD (RFC 9110 section 6.4.1)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PHRASES = {status.value: status.phrase for status in HTTPStatus}
STATUS_LINE = {
    status: f"HTTP/1.1 {status} {PHRASES.get(status, '')}\r\n".encode() for status in range(200, 600)
}

log = logging.getLogger("uvicorn.error")


class Channel(Protocol):
    """What an exchange needs of its connection."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    flow: FlowControl
    server_state: ServerState

    def read_on(self) -> None: ...

    def may_discard_rest(self) -> bool: ...

    def end_exchange(self) -> None: ...


class Exchange:
    """What uvicorn calls a cycle, at less cost: an answer of one piece is one write, its head waits for its body.

    A header that holds a line break, and a body that is not as long as it says, raise RuntimeError."""

    _size = 0  # bytes of the body that wait to be received
    _waiter: asyncio.Future[None] | None = None
    _hung_up = False  # nobody is there to be answered
    _ended: dict[str, Any] | None = None  # what receive() tells from now on
    _begun = _over = False  # the answer
    _head = b""  # that waits
    _chunked = _bodiless = _until_close = False
    _left = 0  # bytes of the answer to come, if its length was said

    def __init__(self, scope: dict[str, Any], channel: Channel, head: RequestHead) -> None:
        self.scope = scope
        self.keep_alive = head.keep_alive
        self.more_body = head.length != 0
        self._channel = channel
        self._expects = head.expects  # 100 Continue, before it sends its body
        self._news = not self.more_body  # something came that receive() has not told
        self._pieces: list[bytes] = []

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
            if not self._over:
                self._channel.transport.close()

    @property
    def full(self) -> bool:
        """Whether so much of the body waits for the application that no more is to be read."""
        return self._size > HIGH_WATER_LIMIT

    def feed(self, piece: bytes) -> None:
        """Takes a piece of the request's body."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()

    def end(self) -> None:
        """The request is whole."""
        self.more_body = False
        self.scope["whole"] = True
        self._wake()

    def fail(self, problem: Problem) -> None:
        """The rest of the body cannot be read: the handler that waits for it gets the problem."""
        self.keep_alive = False
        self._end_with({"type": "http.disconnect", "problem": problem})

    def hang_up(self) -> None:
        """The client is gone."""
        self._hung_up = True
        self._end_with(DISCONNECT)

    def give_up(self) -> None:
        """The client has seemed to be gone for long: the handler is told so; its answer is sent all the same."""
        if not self._begun:
            self._end_with(DISCONNECT)

    def _end_with(self, message: dict[str, Any]) -> None:
        self._ended = message
        self._wake()

    def _wake(self) -> None:
        self._news = True
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        channel = self._channel
        if self._expects and self.more_body and not self._begun and not channel.transport.is_closing():
            channel.transport.write(CONTINUE)
        self._expects = False
        if not self._news and not self._ended and not self._over:
            self._waiter = channel.loop.create_future()
            await self._waiter
        self._news = False
        if self._ended or self._over:
            return self._ended or DISCONNECT
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self.more_body:
            channel.read_on()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        flow = self._channel.flow
        if flow.write_paused and not self._hung_up:
            await flow.drain()
        if self._hung_up:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message["headers"])
        else:
            self._write(message.get("body", b""), message.get("more_body", False))

    def _begin(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """The head: uvicorn's own headers and these, and how long the body is (RFC 9112 section 6)."""
        self._begun = True
        said = dict(headers)
        length = said.get(b"content-length")
        fields = [*self._channel.server_state.default_headers, *headers]
        self._bodiless = status in BODILESS or self.scope["method"] == "HEAD"
        old = self.scope["http_version"] == "1.0"
        if length is None and not self._bodiless:
            if old:
                self._until_close = True
            else:
                self._chunked = True
                fields.append((b"transfer-encoding", b"chunked"))
        if said.get(b"connection") == b"close":
            self.keep_alive = False
        elif not self.keep_alive or self._until_close or (self.more_body and not self._reads_rest()):
            self.keep_alive = False
            fields.append((b"connection", b"close"))
        elif old:
            fields.append((b"connection", b"keep-alive"))
        self._left = int(length or 0)
        head = STATUS_LINE[status] + b"\r\n".join(map(b": ".join, fields)) + b"\r\n\r\n"
        if len(head.splitlines()) != len(fields) + 2:
            raise RuntimeError("a header holds a line break")
        self._head = head

    def _reads_rest(self) -> bool:
        """Whether the body that was not asked for may come, and the connection go on after it.

        A client that waits for 100 Continue may send it or not (RFC 9110 section 10.1.1)."""
        return not self._expects and self._channel.may_discard_rest()

    def _write(self, body: bytes, more: bool) -> None:
        if self._bodiless:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        elif not self._until_close:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body is not as long as it says")
        if self._head:
            body, self._head = self._head + body, b""
        if body:
            self._channel.transport.write(body)
        if not more:
            self._over = True
            self._wake()
            self._channel.end_exchange()


DISCONNECT: dict[str, Any] = {"type": "http.disconnect"}
