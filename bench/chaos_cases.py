"""Every fault that is tried: where, and what clients may see of it besides success."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench import faults, faults_clients, faults_neighbours
from bench.fault_sites import (
    FaultSite,
    alone,
    behind_pgbouncer,
    on_small_disk,
    with_clock,
    with_clock_of_postgres,
    with_mail,
    with_standby,
)
from bench.faults import Fault

NOTHING: frozenset[str] = frozenset()
AWAY = frozenset({"503"})
STOPPED = frozenset({"refused"})
GONE = STOPPED | {"cut"}


@dataclass(frozen=True)
class FaultCase:
    fault: Fault
    allowed: frozenset[str]  # while the fault lasts, and shortly after
    place: Callable[[], AbstractContextManager[FaultSite]] = alone
    answered: bool = True  # nothing happens that nobody is told of


CASES = {
    "kill -9 of the API": FaultCase(faults.api_killed, GONE, answered=False),
    "SIGTERM of the API": FaultCase(faults.api_terminated, STOPPED),
    "kill -9 of PostgreSQL": FaultCase(faults.postgres_killed, AWAY, answered=False),
    "restart of PostgreSQL": FaultCase(faults.postgres_restarted, AWAY, answered=False),
    "failover to a synchronous standby": FaultCase(faults.failover, AWAY, with_standby, answered=False),
    "every connection cut, five times": FaultCase(faults.connections_cut, AWAY, answered=False),
    "kill -9 of PgBouncer": FaultCase(faults.pgbouncer_killed, AWAY, behind_pgbouncer, answered=False),
    "restart of PostgreSQL behind PgBouncer": FaultCase(
        faults.postgres_restarted, AWAY, behind_pgbouncer, answered=False
    ),
    "disk full": FaultCase(faults.disk_full, AWAY, on_small_disk),
    "disk full, and PostgreSQL's log cannot grow": FaultCase(
        faults.log_full, AWAY, on_small_disk, answered=False
    ),
    "pool exhausted behind a lock": FaultCase(faults.pool_exhausted, AWAY),
    "the API's clock jumps by hours": FaultCase(faults.clock_jumped, NOTHING, with_clock),
    "PostgreSQL's clock jumps by hours": FaultCase(
        faults.clock_of_postgres_jumped, NOTHING, with_clock_of_postgres
    ),
    "fifty slow clients": FaultCase(faults_clients.slow_clients, NOTHING),
    "bodies that never end": FaultCase(faults_clients.endless_bodies, NOTHING),
    "sixteen logins at once": FaultCase(faults_clients.logins, NOTHING),
    "requests generated from the description": FaultCase(faults_clients.generated, NOTHING, with_mail),
    "odd bytes in every line, path, query and header": FaultCase(
        faults_clients.odd_bytes, NOTHING, with_mail
    ),
    "a user's row locked from psql": FaultCase(faults_neighbours.row_locked, NOTHING),
    "a user's deletion left uncommitted": FaultCase(faults_neighbours.deletion_uncommitted, NOTHING),
    "tables locked, in each mode": FaultCase(faults_neighbours.tables_locked, AWAY),
    "PostgreSQL paused (SIGSTOP)": FaultCase(faults_neighbours.postgres_paused, AWAY, answered=False),
    "a synchronous standby paused": FaultCase(
        faults_neighbours.standby_paused, AWAY, with_standby, answered=False
    ),
    "a disk that takes 50 ms more for each commit": FaultCase(faults_neighbours.disk_slow, NOTHING),
    "one account's files that trickle and never end": FaultCase(faults_neighbours.trickling_imports, NOTHING),
    "an account with 200,000 sales deleted while it sells": FaultCase(
        faults_neighbours.large_account_deleted, NOTHING
    ),
    "two releases migrating at once": FaultCase(faults.migrations_at_once, NOTHING),
}
