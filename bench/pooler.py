"""PgBouncer in transaction mode, before one PostgreSQL; it can be killed and started again."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.faults_host import Unavailable
from bench.nodes import PATIENCE_SECONDS, Node
from core.local.programs import as_account, temporary_folder

PROGRAMS = "/usr/sbin:/usr/local/bin:/opt/homebrew/bin"
CONFIGURATION = """\
[databases]
postgres = host={database} port=5432 dbname=postgres
[pgbouncer]
unix_socket_dir = {folder}
listen_port = 6432
pool_mode = transaction
auth_type = trust
auth_file = {folder}/users
query_wait_timeout = 3
server_login_retry = 1
"""


class Pooler:
    """One PgBouncer, with the settings that docs/pgbouncer.md asks for."""

    def __init__(self, folder: Path, database: Node) -> None:
        program = shutil.which("pgbouncer", path=PROGRAMS)
        if program is None:
            raise Unavailable("needs pgbouncer")
        self._program = program
        self._folder = folder
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "ini").write_text(CONFIGURATION.format(folder=folder, database=database.folder))
        self.url = f"postgresql://postgres@/postgres?host={folder}&port=6432"

    def start(self) -> None:
        """Returns once it passes statements on."""
        self._process = subprocess.Popen([self._program, "-q", self._folder / "ini"], **as_account())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                with psycopg.connect(self.url) as connection:
                    connection.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def pooler(database: Node) -> Iterator[Pooler]:
    """A PgBouncer before `database`, started. Raises Unavailable."""
    with temporary_folder() as folder:
        one = Pooler(folder, database)
        one.start()
        try:
            yield one
        finally:
            one.kill()
