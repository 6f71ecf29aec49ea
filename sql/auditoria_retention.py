"""Retention: which months of auditoria were kept long enough, by the server's clock, and their end."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time

import psycopg
from psycopg.errors import LockNotAvailable, UndefinedTable
from psycopg.sql import SQL, Identifier

from core.database.database import Database
from core.migrating.lock import lock
from core.migrating.migrations import MigrationError, connect, plain_errors, table_exists
from sql.auditoria_months import current, made_months, months_later, partition

Say = Callable[[str], None]

RULE = """
-- auditoria_retention.rule: how many months the audit is kept, as all processes have agreed; uses no index
SELECT meses
  FROM retencion
 WHERE tabla = 'auditoria'
"""

AGREE = """
-- auditoria_retention.agree: the first process lays down how many months the audit is kept; uses no index
INSERT INTO retencion (tabla, meses)
VALUES ('auditoria', %(months)s)
    ON CONFLICT (tabla) DO NOTHING
"""

ACCEPT = """
-- auditoria_retention.accept: lays down anew how many months the audit is kept; uses no index
UPDATE retencion
   SET meses = %(months)s,
       registro = now()
 WHERE tabla = 'auditoria'
"""

NEWEST = """
-- auditoria_retention.newest: when the last thing was recorded; uses auditoria_creacion_idx
SELECT max(creacion)
  FROM auditoria
"""

DROP = """
-- auditoria_retention.drop: forgets a month's records at once; uses no index
DROP TABLE {name}
"""


class RetentionError(MigrationError):
    """Nothing was dropped: why, in one line."""


async def agreed(db: Database) -> int | None:
    """How many months the audit is kept, once a process has said so."""
    return await db.one(int, RULE)


def due(url: str, months: int) -> list[str]:
    """The partitions that were kept longer than the rule says, or `months` where there is none; changes nothing."""
    with plain_errors(), connect(url) as connection:
        return _due(connection, _rule(connection) if table_exists(connection, "retencion") else months)


def agree(url: str, months: int, *, accept: bool = False) -> None:
    """Lays down `months` where nothing is laid down yet, or anew with `accept`. Raises MigrationError."""
    with plain_errors(), connect(url) as connection:
        _agree(connection, months, accept)


def forget(url: str, months: int, *, accept: bool = False, say: Say = print) -> None:
    """Drops what is due: all months but this one and the `months` before it. Raises MigrationError, then nothing was.

    Nobody waits for it longer than it takes to drop a table: one that is in use is left for the next time."""
    with plain_errors(), connect(url) as connection:
        lock(connection, say)
        _agree(connection, months, accept)
        rule = _rule(connection)
        if rule != months:
            raise RetentionError(
                f"AUDIT_MONTHS is {months} here and {rule} in the database: set it alike in every process,"
                " or lay it down anew with `scripts/ventas retention --accept`"
            )
        names = _due(connection, months)
        _refuse_a_strange_clock(connection, months, names)
        for name in names:
            _drop(connection, name, say)


def _agree(connection: psycopg.Connection, months: int, accept: bool) -> None:
    connection.execute(AGREE, {"months": months})
    if accept:
        connection.execute(ACCEPT, {"months": months})


def _rule(connection: psycopg.Connection) -> int:
    row = connection.execute(RULE).fetchone()
    return row[0] if row else 0


def _due(connection: psycopg.Connection, months: int) -> list[str]:
    if not months:
        return []
    oldest = _oldest(connection, months)
    return [partition(month) for month in made_months(connection) if month < oldest]


def _oldest(connection: psycopg.Connection, months: int) -> date:
    return months_later(current(connection), -months)


def _refuse_a_strange_clock(connection: psycopg.Connection, months: int, names: list[str]) -> None:
    [(newest,)] = connection.execute(NEWEST).fetchall()
    oldest = datetime.combine(_oldest(connection, months), time(), UTC) if names else None
    if newest and oldest and newest < oldest:
        raise RetentionError(
            f"the newest record is of {newest:%Y-%m-%d}, older than the limit: is the server's clock right?"
            f" Nothing was dropped of {', '.join(names)}"
        )


def _drop(connection: psycopg.Connection, name: str, say: Say) -> None:
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '100ms'")
            connection.execute(SQL(DROP).format(name=Identifier(name)))
    except (LockNotAvailable, UndefinedTable) as error:
        say(f"{name}: left for the next time, {error.diag.message_primary}")
    else:
        say(f"{name}: dropped, it was kept long enough")
