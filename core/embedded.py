"""A PostgreSQL for local work and tests: started by the first who needs it, stopped by the last."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from core.cluster import Cluster
from core.locks import is_free, locked, open_private
from core.pgprograms import EmbeddedPostgresError, binaries, data_home, make_folder, temporary_folder

__all__ = ["EmbeddedPostgresError", "binaries", "data_home", "embedded_postgres", "temporary_postgres"]

SETTINGS = {
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "log",  # what happens to the server; a statement's error is its client's to report
    "log_checkpoints": "off",
}
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
    from whoever starts the server. Raises EmbeddedPostgresError.
    """
    make_folder(data_dir)
    cluster = Cluster(data_dir.resolve(), bin_dir or binaries(), SETTINGS | dict(settings or {}))
    turn, users = data_dir / "turn.lock", data_dir / "users.lock"
    with locked(turn):
        cluster.start()
        use = open_private(users)
        fcntl.flock(use, fcntl.LOCK_SH)
    try:
        yield f"postgresql://postgres@/ventas?host={quote(str(cluster.socket_dir), safe='')}&port=5432"
    finally:
        with locked(turn):
            use.close()
            if is_free(users):
                cluster.stop()


@contextmanager
def temporary_postgres(
    *, bin_dir: Path | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """As `embedded_postgres`, on data that is deleted at the end, and quick rather than durable."""
    settings = QUICK | dict(settings or {})
    with (
        temporary_folder() as folder,
        embedded_postgres(folder / "data", bin_dir=bin_dir, settings=settings) as url,
    ):
        yield url
