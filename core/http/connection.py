"""One client's connection: which bytes are a request, which its body, which the next one's (RFC 9112)."""

import asyncio
import re
import sys
from collections.abc import Coroutine
from enum import Enum
from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from core.http.body_framing import Chunked, Framing, Sized
from core.http.burst_memory import burst_memory
from core.http.exchange import Exchange
from core.http.request_head import MOST_HEAD, MOST_LINE, RequestHead, bad, long_line
from core.http.uptake import Uptake
from core.problems import LONG_HEAD, SLOW_HEAD, Problem

LOOK_SECONDS = 20.0
FIRST_SECONDS = 1.0  # that a new connection has for its request when the server stops
HALF_CLOSED_SECONDS = 5.0  # after which a client that sends no more is taken to be gone
MOST_DISCARDED = 16 * 1024 * 1024  # bytes that are read and thrown away after an answer
SMALL_REST = 64 * 1024  # bytes of a body that nobody asked for, which may come before the next request


class Reads(Enum):
    """What the next byte from the client is."""

    HEAD = "of a request's head"
    BODY = "of the body of the request"
    NEXT = "of the next request, which waits until this one is answered"
    NOTHING = "thrown away: no request can be read any more"


HEAD, BODY, NEXT, NOTHING = Reads
NEVER = float("inf")


class Connection(asyncio.Protocol):
    """The server's side of HTTP/1.1: requests come and are answered one after the other, as Exchanges.

        HEAD     a head is whole        → BODY, or NEXT if it has no body; the exchange begins
        BODY     the body is whole      → NEXT; or HEAD, if the answer is over
        NEXT     the answer is over     → HEAD
        any      no HTTP, too long, slow → NOTHING; the exchange is refused, or ends without the rest of its body
        any      an answer that says `close` is over → NOTHING; the client reads it, and closes

    What the scope has beyond ASGI: `header_names`; `whole`, whether the body is here; `refused`, a Problem in the
    place of a request.

    One timer for all: each `look_seconds` the client is looked at, and has to have moved on by `_until`. Bodies that
    the application reads and downloads have bounds of their own."""

    look_seconds = LOOK_SECONDS

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.loop = _loop or asyncio.get_running_loop()
        self.app = config.loaded_app
        self.server_state = server_state
        self._keep_alive_seconds = config.timeout_keep_alive
        self._root_path = config.root_path
        self._app_state = app_state
        self._asgi = {"version": config.asgi_version, "spec_version": "2.3"}
        self._reads = HEAD
        self._buffer = b""
        self._searched = 0  # bytes of the buffer in which no head ends
        self._timed = False  # a head, or an empty line before it, has begun and has its time
        self._framing: Framing
        self._head = RequestHead()
        self._asked = False  # a request has come
        self._answering: Exchange | None = None  # until its answer is over: it holds its body
        self._soon: asyncio.Handle | None = None
        self._ended = False  # the client sends no more
        self._doubt: asyncio.TimerHandle | None = None  # whether it is still there to be answered
        self._discarded = 0

    # What the event loop tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.server_state.connections.add(self)  # type: ignore[arg-type]
        self.transport = transport
        self.flow = FlowControl(transport)
        self._uptake = Uptake(transport)
        self._server = get_local_addr(transport)
        self._client = get_remote_addr(transport)
        self._scheme = "https" if is_ssl(transport) else "http"
        self._until = self.loop.time() + self.look_seconds
        self._timer = self.loop.call_later(self.look_seconds, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._reads, self._buffer = NOTHING, b""
        self.server_state.connections.discard(self)
        if self._answering:
            self._answering.hang_up()
            self._answering = None  # they hold each other, and the exchange its body
        if self._doubt:
            self._doubt.cancel()
        if self.flow.write_paused:
            burst_memory.give_back_soon()  # much of an answer was not taken
        self.flow.resume_writing()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self._uptake.drained = True
        self.flow.resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._reads is NOTHING:
            self._discard(len(data))
            return
        self._buffer = self._buffer + data if self._buffer else data
        if not self._soon:
            self._advance()

    def eof_received(self) -> bool:
        """The client sends no more, but may still read: whole requests are answered (RFC 9112 section 9.6).

        TLS has no such half."""
        self._ended = True
        if self._answering:
            self._doubt = self.loop.call_later(HALF_CLOSED_SECONDS, self._answering.give_up)
        if not self._soon:
            self._end_input()
        return self._scheme == "http" and not self.transport.is_closing()

    # What the server and the exchange tell

    def shutdown(self) -> None:
        """No more requests; but one that was accepted just now may be on its way, and is answered."""
        if not self._asked:
            self.loop.call_later(FIRST_SECONDS, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        if self._answering:
            self._answering.keep_alive = False
        else:
            self.transport.close()

    def read_on(self) -> None:
        """The exchange has taken what it had of its body."""
        if self._buffer or self.flow.read_paused:
            self._advance_soon()

    def may_discard_rest(self) -> bool:
        """Whether what is left of the body is short enough to be read for nothing."""
        return isinstance(self._framing, Sized) and self._framing.left <= SMALL_REST

    def end_exchange(self) -> None:
        """The answer is over."""
        self.server_state.total_requests += 1
        exchange, self._answering = self._answering, None
        if self._ended and self._doubt:
            self._doubt.cancel()  # else it holds the exchange, and with it the request's body
        now = self.loop.time()
        if exchange is None or not exchange.keep_alive:
            self._until = now + self.look_seconds
            self._close_gently()
        elif self._reads is BODY:
            self._until = now + self.look_seconds
        else:
            self._reads = HEAD
            self._until = now + self._keep_alive_seconds
        if self._buffer or self._ended or self.flow.read_paused:
            self._advance_soon()

    # Reading

    def _advance_soon(self) -> None:
        if not self._soon:
            self._soon = self.loop.call_soon(self._advance)

    def _advance(self) -> None:
        """Reads at most one head and one turn of a body; the rest waits for the loop's next turn."""
        self._soon = None
        begins = None
        try:
            if self._reads is HEAD:
                begins = self._read_head()
            if self._reads is BODY:
                self._read_body()
        except Problem as problem:
            begins = self._refuse(problem) or begins
        if begins:
            begin(begins.run(self.app), self.loop)
        if self._buffer or self._reads is BODY or self.flow.read_paused:
            self._mind_flow()
        if self._ended and not self._soon:
            self._end_input()

    def _read_head(self) -> Exchange | None:
        """The exchange that begins; None while its head is not whole. Raises Problem."""
        buffer = self._buffer
        if buffer.startswith(b"\r\n"):  # RFC 9112 section 2.2
            buffer = self._buffer = EMPTY_LINES.sub(b"", buffer)
        end = buffer.find(b"\r\n\r\n", self._searched)
        head = self._head = RequestHead()
        if end < 0 or end + 4 > MOST_HEAD:
            if buffer:
                self._check_begun(buffer if end < 0 else buffer[: end + 4])
            return None
        self._searched, self._timed = 0, False
        self._buffer = buffer[end + 4 :]
        head.read(buffer[:end])
        if head.length == 0:
            self._reads = NEXT
        else:
            self._reads = BODY
            self._framing = Chunked() if head.length is None else Sized(head.length)
        return self._exchange_of(head)

    def _check_begun(self, buffer: bytes) -> None:
        """A head that has not ended is refused as early as a whole one, and has its time."""
        line, ended, _ = buffer.partition(b"\r\n")
        if len(line if ended else line.removesuffix(b"\r")) > MOST_LINE:
            raise long_line(buffer)
        if ended:
            self._head.read_line(line)
        news = buffer[self._searched :]
        if not LINES_BEGUN.fullmatch(news.removeprefix(b"\n") if self._searched else news):
            raise bad("hay un carácter de control, o un fin de línea que no es CRLF")
        if len(buffer) >= MOST_HEAD:
            raise Problem(LONG_HEAD, LONG_HEAD.cuando)
        if not self._timed:
            self._until, self._timed = self.loop.time() + self.look_seconds, True
        self._searched = max(len(buffer) - 3, 0)

    def _exchange_of(self, head: RequestHead) -> Exchange:
        path = head.path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": self._asgi,
            "http_version": head.version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "method": head.method,
            "root_path": self._root_path,
            "path": self._root_path + (unquote(path) if "%" in path else path),
            "raw_path": self._root_path.encode("ascii") + head.path,
            "query_string": head.query,
            "headers": head.headers,
            "header_names": head.names,
            "whole": head.length == 0,
            "state": self._app_state,
        }
        self._asked = True
        self._answering = Exchange(scope, self, head)
        return self._answering

    def _read_body(self) -> None:
        """One turn of the body, if the application has room for it. Raises Problem."""
        exchange = self._answering
        if not self._buffer or (exchange and exchange.full):
            return
        piece, taken = self._framing.take(self._buffer)
        self._buffer = self._buffer[taken:]
        if exchange and piece:
            exchange.feed(piece)
        if self._framing.whole:
            if exchange:
                exchange.end()
                self._reads = NEXT
            else:
                self._reads = HEAD
                self._until = self.loop.time() + self._keep_alive_seconds
        if taken and self._buffer and self._reads is not NEXT:
            self._advance_soon()

    def _refuse(self, problem: Problem) -> Exchange | None:
        """No request can be read any more: the problem answers the request whose head or body it is."""
        reads, self._reads, self._buffer = self._reads, NOTHING, b""
        if reads is BODY:
            if self._answering:
                self._answering.fail(problem)
            else:
                self._close_gently()
            return None
        head = self._head
        head.keep_alive, head.length = False, 0
        refused = self._exchange_of(head)
        refused.scope["refused"] = problem
        if head.method != "HEAD":
            refused.scope["method"] = ""  # it is no preflight, whatever it looks like
        return refused

    def _mind_flow(self) -> None:
        """Reads no more than the application and the answers keep up with."""
        waits = self._answering is not None and self._answering.full
        if waits or len(self._buffer) > MOST_HEAD:  # the longest head has room
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()

    # Ending

    def _end_input(self) -> None:
        """Nothing more comes: what is not whole never will be."""
        if self._reads is BODY and self._answering:
            if self._buffer and self._answering.full:
                return
            self._answering.hang_up()
        elif self._answering:
            return
        self.transport.close()

    def _close_gently(self) -> None:
        """The client may still be sending: it is to read the answer before the connection is reset (section 9.6)."""
        if self._ended or (self._reads is NEXT and not self._buffer):
            self.transport.close()
            return
        self._reads, self._buffer = NOTHING, b""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > MOST_DISCARDED:
            self.transport.abort()

    def _look(self) -> None:
        if self._uptake.stalls(self.look_seconds):
            self.transport.abort()
            return
        if self.loop.time() >= self._until and not self._uptake.unread and not self._answering:
            self._expire()
        self._timer = self.loop.call_later(self.look_seconds, self._look)

    def _expire(self) -> None:
        if self._reads is HEAD and self._buffer:
            begins = self._refuse(Problem(SLOW_HEAD, SLOW_HEAD.cuando))
            if begins:
                begin(begins.run(self.app), self.loop)
        else:
            self.transport.close()


EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")
LINES_BEGUN = re.compile(rb"(?:[\t -~\x80-\xff]++|\r\n)*+\r?")

if sys.version_info >= (3, 12):

    def begin(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        """Runs a new task, the first part of it at once."""
        asyncio.Task(work, loop=loop, eager_start=True)

else:

    def begin(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        """Runs a new task."""
        loop.create_task(work)
