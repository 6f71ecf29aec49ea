"""The months of auditoria: a partition each, made ahead by whoever migrates."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import psycopg
from psycopg.errors import CheckViolation, DuplicateTable, LockNotAvailable
from psycopg.sql import SQL, Identifier, Literal

from core.migrations import connect, plain_errors, table_exists

MONTHS_AHEAD = 12

# Attaching locks out nobody who reads or adds records: only auditoria_resto is closed, while it is looked through.
CREATE = """
-- particiones.create: a table like auditoria; uses no index
CREATE TABLE {name} (LIKE auditoria INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
"""

ATTACH = """
-- particiones.attach: gives a month's records a table of their own; uses no index
ALTER TABLE auditoria ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})
"""


def make_months(url: str, *, say: Callable[[str], None] = print, ahead: int = MONTHS_AHEAD) -> None:
    """Makes the partitions of this month and of those `ahead` that are missing.

    A month that has records in auditoria_resto already keeps them there. Raises MigrationError."""
    with plain_errors(), connect(url) as connection:
        for first, end in _months(datetime.now(UTC).date(), ahead + 1):
            name = f"auditoria_{first:%Y_%m}"
            if not table_exists(connection, name):
                _make(connection, name, first, end, say)


def _make(
    connection: psycopg.Connection, name: str, first: date, end: date, say: Callable[[str], None]
) -> None:
    bounds = {"name": Identifier(name), "first": Literal(f"{first} UTC"), "end": Literal(f"{end} UTC")}
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '1s'")
            connection.execute(SQL(CREATE).format(**bounds))
            connection.execute(SQL(ATTACH).format(**bounds))
    except CheckViolation:
        say(f"{name}: not made, auditoria_resto has records of that month")
    except (DuplicateTable, LockNotAvailable) as error:
        say(f"{name}: left for the next time, {error.diag.message_primary}")


def _months(today: date, count: int) -> Iterator[tuple[date, date]]:
    """The first days of this month and the next, of the next and the one after it, and so on."""
    first = today.replace(day=1)
    for _ in range(count):
        end = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        yield first, end
        first = end
