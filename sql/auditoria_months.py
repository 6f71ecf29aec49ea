"""The months of auditoria: a partition each, made ahead and dropped in the end by whoever migrates."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import psycopg
from psycopg.errors import CheckViolation, DuplicateTable, LockNotAvailable, UndefinedTable
from psycopg.sql import SQL, Identifier, Literal

from core.migrating.migrations import connect, plain_errors, table_exists

MONTHS_AHEAD = 12

# Attaching locks out nobody who reads or adds records: only auditoria_resto is closed, while it is looked through.
CREATE = """
-- auditoria_months.create: a table like auditoria; uses no index
CREATE TABLE {name} (LIKE auditoria INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
"""

ATTACH = """
-- auditoria_months.attach: gives a month's records a table of their own; uses no index
ALTER TABLE auditoria ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})
"""

MONTHS = """
-- auditoria_months.months: which months have a table of their own, oldest first; uses no index
SELECT relname
  FROM pg_class
 WHERE relispartition
   AND relkind = 'r'
   AND relname ~ '^auditoria_[0-9]{4}_[0-9]{2}$'
 ORDER BY relname
"""

DROP = """
-- auditoria_months.drop: forgets a month's records at once; uses no index
DROP TABLE {name}
"""

FORGET = """
-- auditoria_months.forget: forgets records of months that have no table of their own; reads all that match;
-- uses auditoria_creacion_idx
DELETE FROM auditoria_resto
 WHERE creacion < %(oldest)s
"""


def make_months(url: str, *, say: Callable[[str], None] = print, ahead: int = MONTHS_AHEAD) -> None:
    """Makes the partitions of this month and of those `ahead` that are missing.

    A month that has records in auditoria_resto already keeps them there. Raises MigrationError."""
    with plain_errors(), connect(url) as connection:
        for first, end in _months(datetime.now(UTC).date(), ahead + 1):
            name = f"auditoria_{first:%Y_%m}"
            if not table_exists(connection, name):
                _make(connection, name, first, end, say)


def drop_months(url: str, *, keep: int, say: Callable[[str], None] = print) -> None:
    """Forgets the records of all months but this one and the `keep` before it. Raises MigrationError.

    Nobody waits for it longer than it takes to drop a table: one that is in use is left for the next time."""
    oldest = _months_before(datetime.now(UTC).date(), keep)
    with plain_errors(), connect(url) as connection:
        for (name,) in connection.execute(MONTHS).fetchall():
            if name < f"auditoria_{oldest:%Y_%m}":
                _drop(connection, name, say)
        forgotten = connection.execute(FORGET, {"oldest": f"{oldest} UTC"}).rowcount
        if forgotten:
            say(f"auditoria_resto: {forgotten} records from before {oldest} forgotten")


def _drop(connection: psycopg.Connection, name: str, say: Callable[[str], None]) -> None:
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '100ms'")
            connection.execute(SQL(DROP).format(name=Identifier(name)))
    except (LockNotAvailable, UndefinedTable) as error:
        say(f"{name}: left for the next time, {error.diag.message_primary}")
    else:
        say(f"{name}: dropped, it was kept long enough")


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


def _months_before(today: date, count: int) -> date:
    """The first day of the month that was `count` months ago."""
    months = today.year * 12 + today.month - 1 - count
    return date(months // 12, months % 12 + 1, 1)
