"""What a review of the database asks: its server, its settings, and the role that asks."""

from typing import Any

import psycopg
from msgspec import Struct
from psycopg.rows import args_row

from core.database import pool
from sql import connections

FACTS = """
-- review.facts: the server, the database and the role, as a review asks for them; uses no index
SELECT current_setting('server_version'),
       current_setting('max_connections')::int,
       least(current_setting('max_connections')::int
               - current_setting('superuser_reserved_connections')::int
               - coalesce(current_setting('reserved_connections', true), '0')::int,
             nullif(r.rolconnlimit, -1), nullif(d.datconnlimit, -1)),
       d.datcollate,
       d.datcollversion IS DISTINCT FROM pg_database_collation_actual_version(d.oid),
       r.rolname,
       r.rolsuper,
       EXISTS (SELECT 1 FROM pg_tables AS t WHERE t.tablename = 'usuario' AND t.tableowner = current_user),
       ARRAY(SELECT c.relname FROM pg_class AS c
              WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND c.relname !~ '^_?yoyo_|^migracion_' AND c.relname <> 'spatial_ref_sys'
                AND NOT has_any_column_privilege(c.oid, 'SELECT')
              ORDER BY c.relname)::text[],
       (SELECT count(*)
          FROM pg_inherits AS i
          JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = to_regclass('auditoria')
           AND c.relname > 'auditoria_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')
           AND c.relname ~ '^auditoria_[0-9]{4}_[0-9]{2}$')::int,
       (SELECT max(age(datfrozenxid)) FROM pg_database)::bigint,
       ARRAY(SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum']) AS s (name)
              WHERE current_setting(name) = 'off')::text[],
       current_setting('password_encryption'),
       current_setting('archive_mode'),
       current_setting('statement_timeout'),
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
       inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1',
       pg_is_in_recovery()
  FROM pg_roles AS r
 CROSS JOIN pg_database AS d
 WHERE r.rolname = current_user
   AND d.datname = current_database()
"""


class Facts(Struct, frozen=True):
    """One database, as one role sees it. `closed` are the tables of which that role may read no column."""

    version: str
    max_connections: int
    allowed: int
    locale: str
    locale_changed: bool
    role: str
    superuser: bool
    owner: bool
    closed: list[str]
    months_ahead: int
    transaction_ids: int
    off: list[str]
    passwords_as: str
    archive_mode: str
    statement_timeout: str
    encrypted: bool
    local: bool
    follower: bool


def facts(connection: psycopg.Connection[Any]) -> Facts:
    """What is so now."""
    with connection.cursor(row_factory=args_row(Facts)) as cursor:
        [found] = cursor.execute(FACTS).fetchall()
    return found


def nodes(connection: psycopg.Connection[Any]) -> int:
    """How many nodes of a cluster keep rows of its users; none where the database is no cluster."""
    [(sharded,)] = connection.execute(pool.SHARDED).fetchall()
    [(count,)] = connection.execute(connections.NODES).fetchall() if sharded else [(0,)]
    return int(count)
