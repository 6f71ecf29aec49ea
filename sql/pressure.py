"""What weighs on the database: the figures that a DBA is woken for, and the indexes that nobody reads."""

from msgspec import Struct

from core.database.database import Database


class Figure(Struct, frozen=True):
    """A metric's name, the table that it is about (empty: the database), and its value."""

    metric: str
    table: str
    value: float


# Not pg_stat_activity: a cluster reads what is in a view with the caller's rights, and pg_authid is in that one.
FIGURES = """
-- pressure.figures: months ahead, what sweeps have still to do, dead rows, long transactions, waits for locks; counts
-- 10,000 rows of a table at most; uses sesion_expira_idx, idempotencia_expira_idx, enlace_expira_idx
SELECT 'ventas_audit_months_ahead', '', count(*)::double precision
  FROM pg_inherits AS i
  JOIN pg_class AS c ON c.oid = i.inhrelid
 WHERE i.inhparent = to_regclass('auditoria')
   AND c.relname > 'auditoria_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')
   AND c.relname ~ '^auditoria_[0-9]{4}_[0-9]{2}$'
 UNION ALL
SELECT 'ventas_sweep_backlog', 'sesion', count(*)
  FROM (SELECT 1 FROM sesion WHERE expira < now() - interval '2 days' LIMIT 10000) AS due
 UNION ALL
SELECT 'ventas_sweep_backlog', 'idempotencia', count(*)
  FROM (SELECT 1 FROM idempotencia WHERE expira < now() LIMIT 10000) AS due
 UNION ALL
SELECT 'ventas_sweep_backlog', 'enlace', count(*)
  FROM (SELECT 1 FROM enlace WHERE expira < now() - interval '7 days' LIMIT 10000) AS due
 UNION ALL
SELECT metric, s.relname, value
  FROM pg_stat_user_tables AS s
 CROSS JOIN LATERAL (VALUES ('ventas_rows_dead', s.n_dead_tup), ('ventas_rows_live', s.n_live_tup)) AS f (metric, value)
 WHERE s.relname IN ('usuario', 'venta', 'sesion', 'idempotencia', 'enlace', 'intento', 'auditoria_resto')
 UNION ALL
SELECT 'ventas_transaction_seconds', '', coalesce(max(extract(epoch FROM now() - xact_start)), 0)
  FROM pg_stat_get_activity(NULL)
 WHERE datid = (SELECT oid FROM pg_database WHERE datname = current_database())
 UNION ALL
SELECT 'ventas_transaction_ids', '', max(age(datfrozenxid))
  FROM pg_database
 UNION ALL
SELECT 'ventas_lock_wait_seconds', '', coalesce(max(extract(epoch FROM now() - waitstart)), 0)
  FROM pg_locks
 WHERE NOT granted
"""

LAG = """
-- pressure.lag: seconds that a follower is behind its primary; 0 when it has replayed all that it got; uses no index
SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0) END::double precision
"""

INDEXES = """
-- pressure.indexes: how large each index is and how often it was read since the statistics began, those of partitions
-- together; uses no index
SELECT coalesce(p.relname, s.indexrelname), coalesce(parent.indrelid, s.relid)::regclass::text,
       sum(pg_relation_size(s.indexrelid))::bigint, sum(s.idx_scan)::bigint, bool_and(x.indisunique)
  FROM pg_stat_user_indexes AS s
  JOIN pg_index AS x ON x.indexrelid = s.indexrelid
  LEFT JOIN pg_inherits AS h ON h.inhrelid = s.indexrelid
  LEFT JOIN pg_class AS p ON p.oid = h.inhparent
  LEFT JOIN pg_index AS parent ON parent.indexrelid = h.inhparent
 WHERE s.schemaname = 'public'
   AND s.relname !~ '^_?yoyo_'
 GROUP BY 1, 2
 ORDER BY sum(s.idx_scan) > 0, 3 DESC, 1
"""


async def figures(db: Database) -> list[Figure]:
    return await db.many(Figure, FIGURES)


async def lag(follower: Database) -> float:
    """How many seconds the follower is behind; 0 of what is no follower."""
    return await follower.one(float, LAG) or 0
