"""A PostgreSQL for local work and tests: started by the first process that needs it, stopped by the last."""

import fcntl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.local.data_directory import Cluster
from core.local.locks import is_free, locked, open_private
from core.local.programs import (
    EmbeddedPostgresError,
    as_account,
    binaries,
    data_home,
    make_folder,
    temporary_folder,
)

__all__ = [
    "EmbeddedPostgresError",
    "binaries",
    "data_home",
    "embedded_postgres",
    "forget",
    "temporary_postgres",
]

QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def embedded_postgres(
    data_dir: Path, *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield the libpq URL of the database `ventas` on a server that keeps its data in `data_dir`.

    The folder is made when missing, in a parent that is there. Any number of processes may use it at once:
    the first starts the server, the last one out stops it. After a `kill -9` of the last one the server runs
    on, until the next one comes and goes. Its unix socket can be reached by its own user and root alone.

    `bin_dir` holds the programs of another PostgreSQL (15 to 18); `settings` are PostgreSQL's own, heeded
    from the process that starts the server. Raises EmbeddedPostgresError.
    """
    make_folder(data_dir)
    cluster = Cluster(data_dir.resolve(), bin_dir, settings)
    turn, users = data_dir / "turn.lock", data_dir / "users.lock"
    with locked(turn):
        cluster.start()
        use = open_private(users)
        fcntl.flock(use, fcntl.LOCK_SH)
    try:
        yield cluster.url
    finally:
        with locked(turn):
            use.close()
            if is_free(users):
                cluster.stop()


def forget(data_dir: Path) -> None:
    """Deletes all that the server in `data_dir` keeps. Raises EmbeddedPostgresError while anybody uses it."""
    if not data_dir.exists():
        return
    cluster = Cluster(data_dir.resolve(), None, None)
    with locked(data_dir / "turn.lock"):
        if not is_free(data_dir / "users.lock"):
            raise EmbeddedPostgresError(f"the data in {data_dir} are in use: stop the server first")
        cluster.stop()
        cluster.delete()


@contextmanager
def temporary_postgres(
    *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """As `embedded_postgres`, on data of this process's own: quick, not durable, and gone with the process."""
    # The heir's standard input ends when we do, even killed: then it puts away what we cannot any more.
    heir = (
        'read -r _; [ ! -e "$1/cluster/postmaster.pid" ] || "$0" stop -s -m fast -D "$1/cluster"; rm -rf "$1"'
    )
    programs = bin_dir or binaries()
    with temporary_folder() as folder:
        command = ["/bin/sh", "-c", heir, str(programs / "pg_ctl"), str(folder)]
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE, **as_account()),  # noqa: S603
            embedded_postgres(folder, bin_dir=programs, settings=QUICK | dict(settings or {})) as url,
        ):
            yield url
