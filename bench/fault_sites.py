"""Where faults happen: a PostgreSQL alone, with a standby, on a small disk, behind PgBouncer; a clock that jumps."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.faults_host import Clock, node_on, small_disk
from bench.nodes import Node, node, standby_of, url_of
from bench.pooler import Pooler, pooler
from core.local.programs import temporary_folder
from core.migrating import guard

# docs/pgbouncer.md: behind a pooler the timeouts are the role's, or the database's.
TIMEOUTS = {
    "statement_timeout": "15s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "60s",
    "client_connection_check_interval": "2s",
}
NOWHERE = {"MAIL_URL": "smtp://127.0.0.1:9", "MAIL_FROM": "ventas@example.com"}


@dataclass
class FaultSite:
    """What the API needs to start there, and what can be broken."""

    database: Node
    url: str
    settings: dict[str, str] = field(default_factory=dict)
    standby: Node | None = None
    pooler: Pooler | None = None
    clock: Clock | None = None


@contextmanager
def alone() -> Iterator[FaultSite]:
    with node() as database:
        yield _migrated(database)


@contextmanager
def with_mail() -> Iterator[FaultSite]:
    """As `alone`; mails are accepted, and wait for a mail server that is away."""
    with alone() as place:
        place.settings = NOWHERE
        yield place


@contextmanager
def with_standby() -> Iterator[FaultSite]:
    """A primary that confirms nothing that its standby does not have."""
    with node() as primary:
        place = _migrated(primary)
        with standby_of(primary) as standby:
            primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            primary.execute("SELECT pg_reload_conf()")
            place.url = url_of(primary, standby, target_session_attrs="read-write")
            place.standby = standby
            yield place


@contextmanager
def on_small_disk() -> Iterator[FaultSite]:
    with small_disk() as folder, node_on(folder) as database:
        yield _migrated(database)


@contextmanager
def behind_pgbouncer() -> Iterator[FaultSite]:
    with node() as database, pooler(database) as between:
        place = _migrated(database)
        for name, value in TIMEOUTS.items():
            database.execute(f"ALTER DATABASE postgres SET {name} = '{value}'")
        place.settings = {"DATABASE_DIRECT_URL": place.url, "DB_PREPARE": "off"}
        place.url, place.pooler = between.url, between
        yield place


@contextmanager
def with_clock() -> Iterator[FaultSite]:
    """The API's clock can jump; its tokens live for a day, so that a jump of hours ends none."""
    with temporary_folder() as folder, alone() as place:
        place.clock = Clock(folder)
        place.settings = place.clock.environ | {"ACCESS_TOKEN_MINUTES": "1440"}
        yield place


@contextmanager
def with_clock_of_postgres() -> Iterator[FaultSite]:
    """PostgreSQL's clock can jump."""
    with temporary_folder() as folder, alone() as place:
        place.clock = Clock(folder)
        place.database.environ = place.clock.environ
        place.database.stop("fast")
        place.database.start()
        place.settings = {"ACCESS_TOKEN_MINUTES": "1440"}
        yield place


def _migrated(database: Node) -> FaultSite:
    url = url_of(database)
    guard.apply(url, say=lambda line: None)
    return FaultSite(database, url)
