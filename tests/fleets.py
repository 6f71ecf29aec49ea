"""Real server processes on one database, and clients that know which of them answers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from core.checkout import CHECKOUT

PATIENCE_SECONDS = 30


def until(condition: Callable[[], object]) -> None:
    """Returns once it holds; what takes longer than a person's patience fails."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


class Server:
    """`uvicorn app:app` with so many workers, on a unix socket."""

    def __init__(self, path: Path, workers: int) -> None:
        self.workers = workers
        self._path = str(path)

    @contextmanager
    def clients(self) -> Iterator[list[httpx.Client]]:
        """A client of each process, that keeps its connection and so its process."""
        with ExitStack() as stack:
            found: dict[str, httpx.Client] = {}

            def met() -> bool:
                client = self._client()
                if found.setdefault(process_of(client.get("/healthz")), client) is client:
                    stack.callback(client.close)
                else:
                    client.close()
                return len(found) == self.workers

            until(met)
            yield list(found.values())

    def _client(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=self._path)
        return httpx.Client(transport=transport, base_url="http://ventas", timeout=PATIENCE_SECONDS)


def process_of(answer: httpx.Response) -> str:
    """A name of the process that answered: each numbers its requests under one of its own."""
    return answer.headers["x-request-id"].partition("-")[0]


@contextmanager
def serving(path: Path, settings: dict[str, str], workers: int = 1) -> Iterator[Server]:
    """A server until the end of the block; who asks before it is up waits at its socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(100)
        fd = listening.fileno()
        line = [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(fd), "--workers", str(workers)]
        environ = {"PATH": os.environ["PATH"]} | settings
        process = subprocess.Popen(
            [*line, "--log-level", "warning"], env=environ, cwd=CHECKOUT, pass_fds=[fd]
        )
    try:
        yield Server(path, workers)
    finally:
        process.terminate()
        process.wait()
