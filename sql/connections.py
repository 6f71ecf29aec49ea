"""Statements on the server itself: how many connections it allows, and how many nodes it leads to."""

from core.database.database import Database

ALLOWED = """
-- connections.allowed: how many connections this role may have to this database; uses no index
SELECT least(current_setting('max_connections')::int
             - current_setting('superuser_reserved_connections')::int
             - coalesce(current_setting('reserved_connections', true), '0')::int,
             nullif(r.rolconnlimit, -1),
             nullif(d.datconnlimit, -1))
  FROM pg_roles AS r
 CROSS JOIN pg_database AS d
 WHERE r.rolname = current_user
   AND d.datname = current_database()
"""

NODES = """
-- connections.nodes: how many nodes of a cluster keep rows of its users; uses no index
SELECT count(DISTINCT groupid)::int
  FROM pg_dist_node
 WHERE shouldhaveshards
"""


async def allowed(db: Database) -> int:
    """How many connections this role may have to this database."""
    return await db.one(int, ALLOWED) or 0


async def nodes(db: Database) -> int:
    """How many nodes of a cluster keep rows of its users. Only a cluster can be asked."""
    return await db.one(int, NODES) or 0
