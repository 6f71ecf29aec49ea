"""A connection on which many statements are on their way at once, each a transaction of its own."""

from collections import deque
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

from core.database.wire import STALE, Tell, Wire


class Pipeline(Wire):
    """A Wire in libpq's pipeline mode: what is asked while an answer is awaited is sent at once, and runs in turn.

    A Sync follows each statement: one that fails changes nothing for those behind it. All that are on their way
    together have `timeout` seconds."""

    END = ExecStatus.PIPELINE_SYNC

    def __init__(self, connection: psycopg.AsyncConnection[Any], **options: Any) -> None:
        super().__init__(connection, **options)
        self._behind: deque[Tell] = deque()
        self._stale = False
        self._pgconn.enter_pipeline_mode()

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._tell is not None

    @property
    def alive(self) -> bool:
        return self._open and not self._stale if self.busy else super().alive

    def _send(self, tell: Tell, send: Callable[..., None], *message: object) -> None:
        def push() -> None:
            send(*message)
            self._pgconn.pipeline_sync()

        if not self.busy:
            super()._send(tell, push)
            return
        self._behind.append(tell)
        try:
            push()
            self._flush()
        except psycopg.Error as error:
            self._loop.call_soon(self._lose, error)

    def _finish(self) -> None:
        """Tells the first that is awaited what its statement came to."""
        tell, result = self._tell, self._result
        if tell is None or result is None:
            return
        self._result = None
        self._tell = self._behind.popleft() if self._behind else None
        error = error_from_result(result) if result.status == ExecStatus.FATAL_ERROR else None
        self._stale = self._stale or (error is not None and error.sqlstate in STALE)
        if self._stale and not self.busy:
            self.close()
        tell(error or result)

    def _lose(self, error: Exception) -> None:
        """Tells all that are awaited. After the server's last words it has run none of those behind."""
        self.close()
        if self._result and self._result.status == ExecStatus.FATAL_ERROR:
            error = error_from_result(self._result)
        self._slow = self._result = None
        while tell := self._tell:
            self._tell = self._behind.popleft() if self._behind else None
            tell(error)
