"""The months of auditoria: a partition each, made ahead by `migrate`; auditoria_resto has what fits none."""

import time
from collections.abc import Callable, Iterator
from datetime import date

import psycopg
from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Composed, Identifier, Literal

from core.migrating.lock import lock
from core.migrating.migrations import LockNotGrantedError, connect, plain_errors, table_exists

Say = Callable[[str], None]

MONTHS_AHEAD = 12
ATTEMPTS = 5  # for the current month, which must have its partition

NOW = """
-- auditoria_months.now: the first day of this month, by the server's clock; uses no index
SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date
"""

MADE = """
-- auditoria_months.made: which months have a partition, oldest first; uses no index
SELECT to_date(right(c.relname, 7), 'YYYY_MM')
  FROM pg_inherits AS i
  JOIN pg_class AS c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'auditoria'::regclass
   AND c.relname ~ '^auditoria_[0-9]{4}_[0-9]{2}$'
 ORDER BY 1
"""

LEFT = """
-- auditoria_months.left: which months have records without a partition; reads the whole table
SELECT DISTINCT date_trunc('month', creacion AT TIME ZONE 'UTC')::date
  FROM auditoria_resto
 ORDER BY 1
"""

# With its indexes, so that attaching builds none; the check spares attaching to read it.
CREATE = """
-- auditoria_months.create: a table like auditoria, for one month; uses no index
CREATE TABLE {name} (
    LIKE auditoria INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES,
    CONSTRAINT month CHECK (creacion >= {first} AND creacion < {end})
)
"""

MOVE = """
-- auditoria_months.move: a month's records from auditoria_resto into their own table; reads all that match
WITH moved AS (
    DELETE FROM auditoria_resto
     WHERE creacion >= {first}
       AND creacion < {end}
    RETURNING usuario_id, id, creacion, accion, afectado_id, direccion, agente, peticion, antes, despues
)
INSERT INTO {name} (usuario_id, id, creacion, accion, afectado_id, direccion, agente, peticion, antes, despues)
SELECT usuario_id, id, creacion, accion, afectado_id, direccion, agente, peticion, antes, despues
  FROM moved
"""

# The partitioned table itself: an INSERT that had chosen auditoria_resto and waited for it would be refused there.
CLOSE = """
-- auditoria_months.close: keeps new records waiting while the month is attached, not readers; uses no index
LOCK TABLE ONLY auditoria IN SHARE ROW EXCLUSIVE MODE
"""

ATTACH = """
-- auditoria_months.attach: gives a month's records a table of their own; uses no index
ALTER TABLE auditoria ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})
"""

UNCHECK = """
-- auditoria_months.uncheck: the bounds of the partition say the same; uses no index
ALTER TABLE {name} DROP CONSTRAINT month
"""


def make_months(url: str, *, say: Say = print, ahead: int = MONTHS_AHEAD) -> None:
    """Makes the partitions that are missing: of this month, of those `ahead`, and of what lies in auditoria_resto.

    One process at a time, this month first. Each is one transaction: no record is ever out of sight, and records can
    be added meanwhile. A month whose table is in use is left for the next time. Raises MigrationError, for the
    current month too."""
    with plain_errors(), connect(url) as connection:
        lock(connection, say)
        connection.execute("SET statement_timeout = 0")
        this = current(connection)
        made = {month for (month,) in connection.execute(MADE)}
        left = [month for (month,) in connection.execute(LEFT)]
        for first in dict.fromkeys([this, *_following(this, ahead), *left]):
            if first not in made:
                _make(connection, first, say, attempts=ATTEMPTS if first == this else 1)


def current(connection: psycopg.Connection) -> date:
    """The first day of this month, by the server's clock."""
    [(first,)] = connection.execute(NOW).fetchall()
    assert isinstance(first, date)  # noqa: S101 - as NOW says
    return first


def made_months(connection: psycopg.Connection) -> list[date]:
    """The first days of the months that have a partition, oldest first; none before the first migration."""
    if not table_exists(connection, "auditoria"):
        return []
    return [month for (month,) in connection.execute(MADE)]


def partition(first: date) -> str:
    """The name of a month's table."""
    return f"auditoria_{first.year:04}_{first.month:02}"


def months_later(first: date, count: int) -> date:
    """The first day of the month `count` months after, or before, that of `first`."""
    months = first.year * 12 + first.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def _following(this: date, count: int) -> Iterator[date]:
    for number in range(1, count + 1):
        yield months_later(this, number)


def _make(connection: psycopg.Connection, first: date, say: Say, *, attempts: int) -> None:
    name = partition(first)
    for attempt in range(1, attempts + 1):
        try:
            moved = _attach(connection, first)
        except LockNotAvailable as error:
            if attempt < attempts:
                time.sleep(0.5 * 2 ** (attempt - 1))
            elif attempts > 1:
                raise LockNotGrantedError(f"{name}: {error.diag.message_primary}; run it again") from error
            else:
                say(f"{name}: left for the next time, {error.diag.message_primary}")
        else:
            if moved:
                say(f"{name}: {moved} records moved from auditoria_resto")
            return


def _attach(connection: psycopg.Connection, first: date) -> int:
    """Makes a month's partition, in one transaction; how many records it took over."""
    end = months_later(first, 1)
    bounds = {
        "name": Identifier(partition(first)),
        "first": Literal(f"{first} 00:00:00+00"),
        "end": Literal(f"{end} 00:00:00+00"),
    }

    def run(statement: str) -> int:
        text: Composed = SQL(statement).format(**bounds)
        return connection.execute(text).rowcount

    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '1s'")
        run(CREATE)
        moved = run(MOVE)
        run(CLOSE)
        moved += run(MOVE)  # what came meanwhile
        run(ATTACH)
        run(UNCHECK)
        return moved
