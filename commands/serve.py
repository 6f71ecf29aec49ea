"""The server: one process, several, or one that starts again when the code changes."""

import errno
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload, Multiprocess

from commands.announcement import announce, say_where_the_data_are
from core.process import logs
from core.process.application import StartError
from core.process.counters import Siblings
from core.process.settings import Settings

FROM_SYSTEMD = 3  # the first descriptor that it passes on, as sd_listen_fds(3) says

# A proxy that keeps connections to us, such as Heroku's router (90 seconds), must close them first.
OPTIONS: dict[str, object] = {
    "http": "core.http.connection:Connection",
    "loop": "uvloop",
    "access_log": False,
    "log_level": "warning",
    "proxy_headers": False,
    "server_header": False,
    "timeout_graceful_shutdown": 20,
    "timeout_keep_alive": 100,
}


def serve(settings: Settings, *, reload: bool) -> int:
    """Serves until a signal; returns the exit code: 0, or that of a server that could not start.

    Raises StartError where it cannot listen."""
    if reload:
        os.environ.setdefault("DRAIN_SECONDS", "0")
    listener = listening_socket(settings)
    say_where_the_data_are(settings)
    config = uvicorn.Config("app:app", **OPTIONS, workers=settings.web_concurrency, reload=reload)  # type: ignore[arg-type]
    announced = partial(announce, listener, settings)
    if reload:
        announced()
        ChangeReload(config, target=uvicorn.Server(config).run, sockets=[listener]).run()
        return 0
    if settings.web_concurrency > 1:
        logs.write(settings)
        supervisor = _AnnouncingSupervisor(config, listener, announced)
        try:
            supervisor.run()
        finally:
            Siblings().forget()
        failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
        return STARTUP_FAILURE if failed else 0
    server = _AnnouncingServer(config, announced)
    server.run(sockets=[listener])
    return 0 if server.started else STARTUP_FAILURE


def listening_socket(settings: Settings) -> socket.socket:
    """The socket at HOST and PORT, or the one that systemd holds; clients that come before the server is up wait in it.

    Raises StartError with one line that says what to do."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        return socket.socket(fileno=FROM_SYSTEMD)
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"PORT: {port} is in use by another program; stop that one, or choose another: PORT={port + 1}"
            ) from None
        if error.errno == errno.EACCES:
            raise StartError(f"PORT: only root may listen on {port}; choose 1024 or higher") from None
        raise StartError(
            f"HOST: {host} is no address of this machine; 127.0.0.1 is for this machine alone, 0.0.0.0 for all"
        ) from None


class _AnnouncingServer(uvicorn.Server):
    """Says where it listens, once it answers."""

    def __init__(self, config: uvicorn.Config, announced: partial[None]) -> None:
        super().__init__(config)
        self._announced = announced

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announced()


class _AnnouncingSupervisor(Multiprocess):
    """Says where the processes listen, once one of them answers.

    A terminal's Ctrl-C reaches each process. It waits in those that still import, which know no better than to
    print where they were: they inherit that SIGINT is blocked, until they heed it (core/process/shutdown.py)."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, announced: partial[None]) -> None:
        super().__init__(config, sockets=[listener])
        self._announced: partial[None] | None = announced

    def init_processes(self) -> None:
        with _interrupts_held():
            super().init_processes()
        self._hear_their_ends()

    def keep_subprocess_alive(self) -> None:
        with _interrupts_held():
            super().keep_subprocess_alive()
        self._hear_their_ends()
        if self._announced and any(process.is_ready() for process in self.processes):
            self._announced()
            self._announced = None

    def _hear_their_ends(self) -> None:
        """Closes the parent's copy of each process's end of its pipe: asking one that died fails at once."""
        for process in self.processes:
            process.child_conn.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    resource_tracker.ensure_running()  # its start, which comes with the first process, would let them through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
