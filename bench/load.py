"""One measured run of wrk against one server."""

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.database import BenchDatabase
from bench.machine import cpu_microseconds
from bench.server import ContenderServer

MISSING = (
    None
    if shutil.which("wrk")
    else "wrk is not on this machine; install it first (Debian: apt-get install wrk)"
)
SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class LoadRun:
    """What one run came to. CPU is microseconds per request, latency milliseconds."""

    requests: int
    rate: float
    p50: float
    p99: float
    server_cpu: float
    postgres_cpu: float
    errors: int  # answers of 400 and above, broken connections, time-outs

    @property
    def cpu(self) -> float:
        return self.server_cpu + self.postgres_cpu


@contextmanager
def requests_file(lines: list[str]) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines))
        file.flush()
        yield Path(file.name)


def run(
    server: ContenderServer,
    database: BenchDatabase,
    requests: Path,
    connections: int,
    seconds: float,
    tokens: Path | None = None,
) -> LoadRun:
    """Loads a server over that many kept-open connections, from one wrk thread on this process's core.

    With a file of refresh `tokens`, more than connections, it renews those."""
    before = cpu_microseconds(server.pid), database.cpu_microseconds()
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "-s",
        str(SCRIPT),
        server.url,
        "--",
        str(requests),
        f"k-{secrets.token_hex(6)}-",
        *([str(tokens)] if tokens else []),
    ]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    after = cpu_microseconds(server.pid), database.cpu_microseconds()
    told = json.loads(output.splitlines()[-1])
    answered = max(told["requests"], 1)
    return LoadRun(
        requests=told["requests"],
        rate=told["requests"] / told["microseconds"] * 1e6,
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
        server_cpu=(after[0] - before[0]) / answered,
        postgres_cpu=(after[1] - before[1]) / answered,
        errors=told["refused"] + told["broken"],
    )
