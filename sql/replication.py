"""Statements that tell how far a follower has come behind its primary; they read no table."""

from core.database.database import Database

WRITTEN = """
-- replication.written: how far the primary's log has come, for a request that will read a follower; uses no index
SELECT asked.n, pg_current_wal_lsn()::text
  FROM unnest(%(asked)s::boolean[]) WITH ORDINALITY AS asked (asked, n)
"""

REPLAYED = """
-- replication.replayed: whether the follower has come as far as each asker needs; uses no index
SELECT asked.n, coalesce(pg_last_wal_replay_lsn() >= asked.lsn::pg_lsn, false)
  FROM unnest(%(lsn)s::text[]) WITH ORDINALITY AS asked (lsn, n)
"""


async def written(primary: Database) -> str:
    """The end of the primary's log (a pg_lsn as text)."""
    return await primary.gather(str, WRITTEN, asked=True) or "0/0"


async def replayed(follower: Database, lsn: str) -> bool:
    """Whether the follower has replayed its log up to `lsn`; false of what is no follower."""
    return await follower.gather(bool, REPLAYED, lsn=lsn) or False
