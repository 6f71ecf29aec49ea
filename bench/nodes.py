"""PostgreSQL servers that can be killed, followed and promoted."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

from core.local.programs import EmbeddedPostgresError, binaries, run, temporary_folder

PATIENCE_SECONDS = 30
CONFIGURATION = """
listen_addresses = ''
shared_buffers = 32MB
max_wal_senders = 4
wal_level = replica
hot_standby = on
timezone = 'UTC'
"""


class Node:
    """One server; its files and its socket are in `folder`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._settings = {"unix_socket_directories": str(folder)} | settings
        self.environ: dict[str, str] = {}  # what it is started with

    def initialise(self) -> None:
        run(
            binaries() / "initdb",
            "-D",
            self._data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        )
        run("/bin/sh", "-c", f"cat >> '{self._data}/postgresql.conf'", stdin=CONFIGURATION)

    def follow(self, primary: "Node") -> None:
        """Becomes a streaming standby of `primary`, by the name `standby`."""
        backup = ["-D", self._data, "-R", "-X", "stream", "-c", "fast"]
        run(binaries() / "pg_basebackup", "-d", f"{primary.conninfo} application_name=standby", *backup)

    def start(self) -> None:
        """Starts it, or starts it again as soon as the processes of a killed one are gone."""
        options = " ".join(f"-c {name}='{value}'" for name, value in self._settings.items())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._control("-l", self.folder / "log", "-o", options, "start")
                return
            except EmbeddedPostgresError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def ensure(self) -> None:
        """Starts it, unless it has recovered by itself."""
        try:
            self._control("status")
        except EmbeddedPostgresError:
            self.start()
        self.execute("SELECT 1")

    def stop(self, mode: str = "immediate") -> None:
        self._control("-m", mode, "stop")

    def kill(self) -> None:
        """kill -9 of the postmaster; its children end when they notice."""
        os.kill(self.pid, signal.SIGKILL)

    def promote(self) -> None:
        self._control("promote")

    def execute(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @property
    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def conninfo(self) -> str:
        return f"host={self.folder} user=postgres dbname=postgres"

    def _control(self, *words: str | Path) -> None:
        variables = [f"{name}={value}" for name, value in self.environ.items()]
        pg_ctl = [binaries() / "pg_ctl", "-D", self._data, "-w", "-t", str(PATIENCE_SECONDS)]
        run("env", *variables, *pg_ctl, *words)


def url_of(*nodes: Node, **options: str) -> str:
    """A URL that names the nodes in turn."""
    hosts = ",".join(quote(str(node.folder), safe="") for node in nodes)
    more = "".join(f"&{name}={value}" for name, value in options.items())
    return f"postgresql://postgres@/postgres?host={hosts}{more}"


@contextmanager
def node(**settings: str) -> Iterator[Node]:
    """A primary, started; ended with the block whatever became of it."""
    with temporary_folder() as folder:
        one = Node(folder, **settings)
        one.initialise()
        one.start()
        try:
            yield one
        finally:
            _end(one)


@contextmanager
def standby_of(primary: Node, **settings: str) -> Iterator[Node]:
    """A standby that has caught up once and follows."""
    with temporary_folder() as folder:
        one = Node(folder, **settings)
        one.follow(primary)
        one.start()
        try:
            yield one
        finally:
            _end(one)


def _end(one: Node) -> None:
    """Stops it, unless it was killed and is gone."""
    try:
        one.stop()
    except EmbeddedPostgresError as error:
        if not any(
            words in str(error) for words in ("No such process", "not exist", "not running", "no server")
        ):
            raise
