"""The advisory lock: of all sessions, one at a time changes the schema of a database."""

import time
from collections.abc import Callable
from typing import Any

import psycopg

Say = Callable[[str], None]

LOCK = 0x6D696772  # "migr", the advisory lock's key
HOLDER = """
SELECT concat_ws(' ', 'process', a.pid, 'of', a.usename, 'at', host(a.client_addr), 'since', a.backend_start)
  FROM pg_locks AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = %s AND l.objsubid = 1 AND l.granted
   AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
"""


def lock(connection: psycopg.Connection[Any], say: Say) -> None:
    """Makes this session the only one that changes the schema, until it ends; waits for another's end.

    Asks again and again: a waiting statement holds a snapshot, CREATE INDEX CONCURRENTLY awaits that."""
    told = False
    while connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
        if not told and (holder := connection.execute(HOLDER, [LOCK]).fetchone()):
            say(f"waiting: {holder[0]} is migrating this database")
            told = True
        time.sleep(0.1)
