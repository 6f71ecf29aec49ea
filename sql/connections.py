"""Statements on the server itself: how many connections it allows."""

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


async def allowed(db: Database) -> int:
    """How many connections this role may have to this database."""
    return await db.one(int, ALLOWED) or 0
