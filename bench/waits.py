"""Where people wait for this project: its start, its reads while others log in; and the memory it takes."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median

from bench.cases import CASES, USER_IDS, Callers, log_in
from bench.contenders import Contender
from bench.database import BenchDatabase
from bench.load import requests_file, run
from bench.machine import resident_megabytes
from bench.server import ContenderServer, running

STARTS, SECONDS, CONNECTIONS, LOGINS = 5, 5, 32, 16


@dataclass(frozen=True)
class Waits:
    start: float  # seconds until the first 200, the database being up
    idle_memory: float  # MB resident, at the start
    loaded_memory: float  # MB resident, after the loads below
    p99: float  # milliseconds, GET one user
    p99_with_logins: float  # the same while LOGINS people log in without a pause

    def rows(self) -> list[list[str]]:
        return [
            ["start to first 200, database up", f"{self.start:.2f} s"],
            ["memory of one worker, idle", f"{self.idle_memory:.0f} MB"],
            [f"memory of one worker, after {2 * SECONDS} s of load", f"{self.loaded_memory:.0f} MB"],
            [f"p99 of GET one user, {CONNECTIONS} connections", f"{self.p99:.1f} ms"],
            [f"the same while {LOGINS} log in at once", f"{self.p99_with_logins:.1f} ms"],
        ]


def measure(contender: Contender, database: BenchDatabase, core: int) -> Waits:
    """Everything once but the start, the median of several. Logins cost what they cost by default."""
    with running(contender, database.url, core) as server:
        requests = CASES[0].lines(Callers.of(server))
    as_deployed = {name: text for name, text in contender.environment.items() if name != "BCRYPT_ROUNDS"}
    contender = replace(contender, environment=as_deployed)
    starts = []
    for _ in range(STARTS):
        with running(contender, database.url, core) as server:
            starts.append(server.started_in)
    with running(contender, database.url, core) as server, requests_file(requests) as file:
        idle_memory = resident_megabytes(server.pid)
        idle = run(server, database, file, CONNECTIONS, SECONDS)
        with _logins(server):
            busy = run(server, database, file, CONNECTIONS, SECONDS)
        return Waits(median(starts), idle_memory, resident_megabytes(server.pid), idle.p99, busy.p99)


@contextmanager
def _logins(server: ContenderServer) -> Iterator[None]:
    """LOGINS people log in, again and again, until the context ends; an error of theirs is raised then."""
    over = threading.Event()

    def insist(id: int) -> None:
        while not over.is_set():
            log_in(server, id)

    with ThreadPoolExecutor(LOGINS) as people:
        trying = [people.submit(insist, id) for id in USER_IDS[:LOGINS]]
        try:
            yield
        finally:
            over.set()
    for attempt in trying:
        attempt.result()
