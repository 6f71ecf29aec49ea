"""Statements on _yoyo_migration, the migration tool's own record."""

from core.database.database import Database

APPLIED = """
-- migrations.applied: which migrations the database has; reads the whole table, a row each
SELECT migration_id
  FROM _yoyo_migration
"""


async def applied(db: Database) -> set[str]:
    return set(await db.many(str, APPLIED))
