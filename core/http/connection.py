"""One client's connection: uvicorn's protocol, cheaper per request, and bounds on how slow and long a client may be."""

import asyncio
import secrets
import sys
from collections.abc import Coroutine
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from core.http.exchange import Exchange
from core.problems import BAD_HTTP, LONG_HEAD, Kind, Problem

MOST_HEAD = 64 * 1024  # bytes of a request line and its headers
LOOK_SECONDS = 20.0
LEAST_RATE = 1024  # bytes per second that a client reads
FIRST_SECONDS = 1.0  # that a new connection has for its request when the server stops


class Connection(HttpToolsProtocol):
    """Its requests are Exchanges, and it spares uvicorn's timer per request: each LOOK_SECONDS the client is looked at.

    Who rests between requests is left alone for uvicorn's `timeout_keep_alive`, and at most a look longer. Else
    the client has to have moved on by the next look: a head that does not end, what goes on after an answer, an
    answer that nobody reads. Bodies and downloads have bounds of their own."""

    look_seconds = LOOK_SECONDS
    cycle: Exchange | None  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._asgi = {"version": self.asgi_version, "spec_version": "2.3"}
        self._next: Exchange | None = None  # which begins when all that came with it has been read
        self._head = 0
        self._unread = 0
        self._rests_since = NEVER
        self._unasked: object = NO_REQUEST
        self._timer = self.loop.call_later(self.look_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        self._rests_since = NEVER
        super().data_received(data)
        if self.cycle is not before:
            self._head = 0
        elif before is None or (before.response_complete and not before.more_body):
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse(LONG_HEAD)
        if self._next:
            begin(self._next.run(self.app), self.loop)
            self._next = None

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        parser, url = self.parser, httptools.parse_url(self.url)
        version, path = parser.get_http_version(), url.path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": self._asgi,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": parser.get_method().decode("ascii"),
            "root_path": self.root_path,
            "path": self.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode("ascii") + url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
            "state": self.app_state,
        }
        before = self.cycle
        keep_alive = version != "1.0" and parser.should_keep_alive()
        self.cycle = Exchange(scope, self, keep_alive=keep_alive, expects=self.expect_100_continue)
        if before is None or before.response_complete:
            self._next = self.cycle
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        if self.cycle and not self.cycle.response_complete:
            self.cycle.feed(body)

    def on_message_complete(self) -> None:
        if self.cycle and not self.cycle.response_complete:
            self.cycle.end()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            following, app = self.pipeline.pop()
            self.loop.create_task(following.run(app))  # type: ignore[attr-defined]
        else:
            self._rests_since = self.loop.time()

    def shutdown(self) -> None:
        """A connection accepted just now may have its request on the way: it is still answered."""
        if self.cycle is None:
            self.loop.call_later(FIRST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BAD_HTTP)

    def _refuse(self, kind: Kind) -> None:
        """Answers what never became a request, and hangs up; but not before a whole request that came before it."""
        before = self.cycle
        if before and not before.response_complete and not before.more_body:
            before.keep_alive = False
            self.flow.pause_reading()
            return
        body = Problem(kind, kind.cuando).body(secrets.token_hex(8))
        headers = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[kind.status] + headers % len(body) + body)
        self.transport.close()

    def _look(self) -> None:
        unread = self.transport.get_write_buffer_size()
        asks = self.cycle is not None and not self.cycle.response_complete
        rests = self._rests_since is not NEVER
        unasked = NO_REQUEST if asks or rests else self.cycle
        reads = not unread or not self._unread or self._unread - unread > LEAST_RATE * self.look_seconds
        if not reads or unasked is self._unasked is not NO_REQUEST:
            self.transport.abort()
            return
        if rests and not unread and self.loop.time() - self._rests_since > self.timeout_keep_alive:
            self.transport.close()
            return
        self._unread, self._unasked = unread, unasked
        self._timer = self.loop.call_later(self.look_seconds, self._look)


NEVER = float("inf")
NO_REQUEST = object()  # after which the client was silent

if sys.version_info >= (3, 12):

    def begin(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        """Runs a new task, the first part of it at once."""
        asyncio.Task(work, loop=loop, eager_start=True)

else:

    def begin(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        """Runs a new task."""
        loop.create_task(work)
