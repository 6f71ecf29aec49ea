"""The server: one process, several, or one that starts again when the code changes."""

import os
import socket
import sys

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from core.process.settings import Settings

# As in the Procfile. Whoever keeps connections to us, such as Heroku's router (90 seconds), must close them first.
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
    """Serves until a signal; returns the exit code: 0, or that of a server that could not start."""
    options = OPTIONS | {"host": settings.host, "port": settings.port}
    if reload:
        os.environ.setdefault("DRAIN_SECONDS", "0")
        uvicorn.run("app:app", **options, reload=True)  # type: ignore[arg-type]
        return 0
    config = uvicorn.Config("app:app", **options, workers=settings.web_concurrency)  # type: ignore[arg-type]
    if settings.web_concurrency == 1:
        server = _Announcing(config)
        server.run()
        return 0 if server.started else STARTUP_FAILURE
    listener = config.bind_socket()
    listener.listen(config.backlog)  # who comes before the processes are up waits
    _announce(listener)
    supervisor = Multiprocess(config, sockets=[listener])
    supervisor.run()
    failed = any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes)
    return STARTUP_FAILURE if failed else 0


class _Announcing(uvicorn.Server):
    """Says where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            _announce(server.sockets[0])


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - only compared
    sys.stdout.write(f"""\
Listening on {url}  (Ctrl-C stops it)
Docs         {url}/docs
Try          curl {url}/user/ -H 'Content-Type: application/json' -d '{{"username": "ana", "password": "123",
               "nombre": "Ana", "apellido": "Paz", "telefono": 2604538424, "correo": "ana@example.com"}}'
""")
    sys.stdout.flush()
