"""A connection driven through libpq itself, at a third of a cursor's cost, for what runs all the time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

Columns = tuple[Any, ...]

LOOKS = 2  # the first may find the server's last words, the second that it hung up
LOOK_SECONDS = 0.1
STALE = {"0A000", "25006", "26000"}  # plan of an older schema, primary become follower, plan forgotten


class Wire:
    """Runs one statement at a time on a connection that nobody else uses.

    Parameters go as text, their types are the statement's; results come back binary. With `prepare`, each
    statement is prepared when first seen."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], *, prepare: bool, timeout: float) -> None:
        self._open = True
        self._pgconn = connection.pgconn
        self._socket = connection.fileno()
        self._transformer = Transformer(connection)
        self._prepare = prepare
        self._prepared: dict[bytes, bytes] = {}
        self._timeout = timeout
        self._result: PGresult | None = None
        self._answer: asyncio.Future[PGresult] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    @property
    def alive(self) -> bool:
        """Whether the server is still there, as far as the socket tells."""
        for _ in range(LOOKS):
            if self._open:
                self._read()
        return self._open

    async def query(self, sql: bytes, parameters: Sequence[bytes]) -> list[Columns]:
        """The rows of a statement whose parameters are $1, $2 …, once it is committed.

        Raises psycopg.Error, or TimeoutError after `timeout` seconds."""
        if self._prepare:
            name = self._prepared.get(sql) or await self._name(sql)
            result = await self._send(self._pgconn.send_query_prepared, name, parameters, None, Format.BINARY)
        else:
            message = (sql, parameters, None, None, Format.BINARY)
            result = await self._send(self._pgconn.send_query_params, *message)
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._pgconn.finish()

    async def _name(self, sql: bytes) -> bytes:
        name = b"s%d" % len(self._prepared)
        await self._send(self._pgconn.send_prepare, name, sql)
        self._prepared[sql] = name
        return name

    async def _send(self, send: Callable[..., None], *message: object) -> PGresult:
        self._result = None
        self._answer = self._loop.create_future()
        self._deadline = self._loop.time() + self._timeout
        self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
        try:
            send(*message)
            self._flush()
            result = await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._timer.cancel()
            self._answer = None
        if result.status == ExecStatus.FATAL_ERROR:
            error = error_from_result(result)
            if error.diag.severity_nonlocalized != "ERROR" or error.sqlstate in STALE:
                self.close()
            raise error
        return result

    def _flush(self) -> None:
        if self._pgconn.flush():
            self._loop.add_writer(self._socket, self._flush)
        else:
            self._loop.remove_writer(self._socket)

    def _look(self) -> None:
        """Ends a wait that is too long, or whose end went unseen: uvloop forgets the reader of a socket in error."""
        if self._loop.time() >= self._deadline:
            self._lose(TimeoutError())
        else:
            self._timer = self._loop.call_later(LOOK_SECONDS, self._look)
            self._read()

    def _read(self) -> None:
        try:
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is None:
                    self._finish()
                    return
                # The rows come before their COMMIT, which may yet fail: an error outweighs them.
                if self._result is None or self._result.status != ExecStatus.FATAL_ERROR:
                    self._result = result
        except psycopg.Error as error:
            self._lose(error)

    def _finish(self) -> None:
        if self._answer and self._result and not self._answer.done():
            self._answer.set_result(self._result)

    def _lose(self, error: Exception) -> None:
        self.close()
        if self._result and self._result.status == ExecStatus.FATAL_ERROR:
            self._finish()  # the server's last words say more than its silence
        elif self._answer and not self._answer.done():
            self._answer.set_exception(error)
