"""A connection driven through libpq itself, at a third of a cursor's cost, for what runs all the time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from core.database.errors import SilenceError
from core.database.instants import Columns, with_fractions

Tell = Callable[[PGresult | Exception], None]

LOOKS = 2  # the first may find the server's last words, the second that it hung up
LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 0.2  # an answer that takes longer is slow
STALE = {"0A000", "25006", "26000"}  # plan of an older schema, primary become follower, plan forgotten


class Wire:
    """Runs one statement at a time on a connection that nobody else uses.

    Parameters go as text, their types are the statement's; results come back binary. With `prepare`, a statement is
    parsed once, beforehand. The result goes to a callback, which costs less than to wake a task. `closed` is called
    once the connection is."""

    END: ClassVar[ExecStatus | None] = (
        None  # the status of the result behind an answer, which ends it; here there is none
    )

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        *,
        prepare: bool,
        timeout: float,
        closed: Callable[[], object] | None = None,
    ) -> None:
        self._open = True
        self._pgconn = connection.pgconn
        self._socket = connection.fileno()
        self._transformer = Transformer(connection)
        self._prepare = prepare
        self._prepared: dict[bytes, bytes] = {}
        self._timeout = timeout
        self._closed = closed
        self._tell: Tell | None = None
        self._slow: Callable[[], None] | None = None
        self._result: PGresult | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writing = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    @property
    def alive(self) -> bool:
        """Whether the server is still there, as far as the socket tells."""
        for _ in range(LOOKS):
            if self._open:
                self._read()
        return self._open

    def ready(self, sql: bytes) -> bool:
        """Whether a statement can be asked: the connection is open, and the statement parsed, if it is to be."""
        return self._open and (not self._prepare or sql in self._prepared)

    async def prepare(self, sql: bytes) -> None:
        """Makes a statement ready. Raises psycopg.Error, or SilenceError."""
        if self.ready(sql):
            return
        name = b"s%d" % len(self._prepared)
        await self._done(self._pgconn.send_prepare, name, sql)
        self._prepared[sql] = name

    async def _done(self, send: Callable[..., None], *message: object) -> None:
        self._slow = None
        done: asyncio.Future[PGresult | Exception] = self._loop.create_future()
        self._send(done.set_result, send, *message)
        result = await done
        if isinstance(result, Exception):
            raise result

    def ask(
        self, sql: bytes, parameters: Sequence[bytes], tell: Tell, slow: Callable[[], None] | None = None
    ) -> None:
        """Runs a statement whose parameters are $1, $2 …; what it came to is told once it is committed.

        That is for rows(), or a psycopg.Error, or a SilenceError after `timeout` seconds. `slow` is called now and
        then while it takes more than PATIENCE_SECONDS."""
        self._slow = slow
        if self._prepare:
            message = (self._prepared[sql], parameters, None, Format.BINARY)
            self._send(tell, self._pgconn.send_query_prepared, *message)
        else:
            self._send(tell, self._pgconn.send_query_params, sql, parameters, None, None, Format.BINARY)

    def rows(self, result: PGresult) -> list[Columns]:
        self._transformer.set_pgresult(result)
        return with_fractions(result, self._transformer.load_rows(0, result.ntuples, tuple))

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            if self._timer:
                self._timer.cancel()
            self._pgconn.finish()
            if self._closed:
                self._closed()

    def _send(self, tell: Tell, send: Callable[..., None], *message: object) -> None:
        self._tell, self._result = tell, None
        self._deadline = self._loop.time() + self._timeout
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        try:
            send(*message)
            self._flush()
        except psycopg.Error as error:
            self._loop.call_soon(self._lose, error)

    def _flush(self) -> None:
        if self._pgconn.flush():
            self._writing = True
            self._loop.add_writer(self._socket, self._flush)
        elif self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _look(self) -> None:
        """Ends a wait that is too long, or whose end went unseen: uvloop forgets the reader of a socket in error."""
        self._timer = None
        if self._tell is None:
            return
        if self._loop.time() >= self._deadline:
            self._lose(SilenceError(f"no answer in {self._timeout} s"))
        else:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
            self._read()
            if self._slow and self._loop.time() >= self._deadline - self._timeout + PATIENCE_SECONDS:
                self._slow()  # what was told meanwhile has moved the deadline, or ended the wait

    def _read(self) -> None:
        try:
            self._pgconn.consume_input()
            while self._tell and not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if (result and result.status) == self.END:
                    self._finish()
                # The rows come before their COMMIT, which may yet fail: an error outweighs them.
                elif result and (self._result is None or self._result.status != ExecStatus.FATAL_ERROR):
                    self._result = result
        except psycopg.Error as error:
            self._lose(error)

    def _finish(self) -> None:
        tell, result = self._tell, self._result
        if tell is None or result is None:
            return
        self._tell = self._result = self._slow = None
        if result.status != ExecStatus.FATAL_ERROR:
            tell(result)
            return
        error = error_from_result(result)
        if error.diag.severity_nonlocalized != "ERROR" or error.sqlstate in STALE:
            self.close()
        tell(error)

    def _lose(self, error: Exception) -> None:
        self.close()
        if self._result and self._result.status == ExecStatus.FATAL_ERROR:
            self._finish()  # the server's last words say more than its silence
        elif tell := self._tell:
            self._tell = self._slow = None
            tell(error)
