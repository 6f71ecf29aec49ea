"""One client's connection: uvicorn's protocol, and bounds on how slow and how long a client may be."""

import asyncio
import secrets

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from core.problems import BAD_HTTP, LONG_HEAD, Kind, Problem

MOST_HEAD = 64 * 1024  # bytes of a request line and its headers
LOOK_SECONDS = 20.0
LEAST_RATE = 1024  # bytes per second that a client reads
FIRST_SECONDS = 1.0  # that a new connection has for its request when the server stops


class Connection(HttpToolsProtocol):
    """uvicorn bounds the time from an answer to the next request; bodies and downloads have bounds of their own.

    This bounds the rest: a head that does not end, what goes on after an answer, an answer that nobody reads. The
    client is looked at every LOOK_SECONDS, and has to have moved on by the next look."""

    look_seconds = LOOK_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = 0
        self._unread = 0
        self._unasked: object = NEVER
        self._timer = self.loop.call_later(self.look_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._head = 0
        elif before is None or (before.response_complete and not before.more_body):
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse(LONG_HEAD)

    def shutdown(self) -> None:
        """A connection accepted just now may have its request on the way: it is still answered."""
        if self.cycle is None:
            self.loop.call_later(FIRST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BAD_HTTP)

    def _refuse(self, kind: Kind) -> None:
        """Answers what never became a request, and hangs up."""
        body = Problem(kind, kind.cuando).body(secrets.token_hex(8))
        headers = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[kind.status] + headers % len(body) + body)
        self.transport.close()

    def _look(self) -> None:
        unread = self.transport.get_write_buffer_size()
        asks = self.cycle is not None and not self.cycle.response_complete
        unasked = NEVER if asks or self.timeout_keep_alive_task else self.cycle
        reads = not unread or not self._unread or self._unread - unread > LEAST_RATE * self.look_seconds
        if not reads or unasked is self._unasked is not NEVER:
            self.transport.abort()
            return
        self._unread, self._unasked = unread, unasked
        self._timer = self.loop.call_later(self.look_seconds, self._look)


NEVER = object()  # there is no request after which the client was silent
