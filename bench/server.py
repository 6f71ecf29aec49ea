"""One contender's server while it runs: pinned to its core, reachable, ended at the end."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import httpx

from bench.contenders import CACHE, Contender
from bench.machine import pin

SECRET = secrets.token_hex(32)
LONGEST_START, LONGEST_STOP = 30, 5  # seconds


class CannotStart(Exception):
    """A server that ended, or stayed silent, instead of answering."""


@dataclass(frozen=True)
class ContenderServer:
    contender: Contender
    url: str
    pid: int
    started_in: float  # seconds until the first answer

    def client(self, token: str = "") -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


@contextmanager
def running(contender: Contender, database_url: str, core: int) -> Iterator[ContenderServer]:
    """Starts a contender on a core. Raises CannotStart with the end of what it printed."""
    port = _free_port()
    fill = {"{port}": str(port)}
    environment = os.environ | {"DATABASE_URL": database_url, "JWT_SECRET": SECRET}
    environment |= {name: fill.get(value, value) for name, value in contender.environment.items()}
    log_path = CACHE / f"{contender.name}.log"
    began = time.monotonic()
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [fill.get(word, word) for word in contender.command],
            cwd=contender.folder,
            env=environment,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: pin(core),
        )
    try:
        _await_answer(process, port, log_path)
        yield ContenderServer(contender, f"http://127.0.0.1:{port}", process.pid, time.monotonic() - began)
    finally:
        process.terminate()
        try:
            process.wait(LONGEST_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Returns at the first answer that is not a 5xx, whatever else it says."""
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=LONGEST_START)
        with suppress(OSError), closing(connection):
            connection.request("GET", "/readyz")
            if connection.getresponse().status < 500:
                return
        time.sleep(0.005)
    raise CannotStart("\n".join(["it does not answer:", *log.read_text().splitlines()[-5:]]))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
