"""The schema as PostgreSQL has it: tables, columns, constraints and indexes, from its catalogs."""

from collections import defaultdict
from typing import Any

import psycopg
from msgspec import Struct
from psycopg.rows import args_row

TABLES = """
-- schema.tables: the application's tables, but for the partitions of one and the migration tool's own;
-- uses no index
SELECT c.relname,
       CASE WHEN c.relkind = 'p' THEN 'Partitioned by ' || pg_get_partkeydef(c.oid)
            WHEN c.relpersistence = 'u' THEN 'Unlogged' ELSE '' END,
       coalesce(obj_description(c.oid, 'pg_class'), '')
  FROM pg_class AS c
 WHERE c.relnamespace = 'public'::regnamespace
   AND c.relkind IN ('r', 'p')
   AND NOT c.relispartition
   AND c.relname !~ '^_?yoyo_'
 ORDER BY c.relname
"""

COLUMNS = """
-- schema.columns: their columns, in order; uses no index
SELECT c.relname, a.attname,
       replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'), a.attnotnull,
       CASE WHEN a.attidentity = '' THEN coalesce(pg_get_expr(d.adbin, d.adrelid), '') ELSE 'identity' END,
       coalesce(col_description(c.oid, a.attnum), '')
  FROM pg_class AS c
  JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relnamespace = 'public'::regnamespace
 ORDER BY c.relname, a.attnum
"""

CONSTRAINTS = """
-- schema.constraints: their constraints, but NOT NULL; the table referred to and, both ways, the columns; uses no index
SELECT c.relname, k.conname, k.contype::text, pg_get_constraintdef(k.oid), coalesce(o.relname, ''),
       ARRAY(SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum = ANY (k.conkey)
              ORDER BY array_position(k.conkey, a.attnum))::text[]
  FROM pg_constraint AS k
  JOIN pg_class AS c ON c.oid = k.conrelid
  LEFT JOIN pg_class AS o ON o.oid = k.confrelid
 WHERE c.relnamespace = 'public'::regnamespace
   AND k.contype IN ('p', 'u', 'f', 'c', 'x')
 ORDER BY c.relname, array_position(ARRAY['p', 'u', 'x', 'f', 'c'], k.contype::text), k.conname
"""

INDEXES = """
-- schema.indexes: their indexes; uses no index
SELECT c.relname, i.relname, x.indisunique, regexp_replace(pg_get_indexdef(i.oid), '^.* USING ', '')
  FROM pg_index AS x
  JOIN pg_class AS c ON c.oid = x.indrelid
  JOIN pg_class AS i ON i.oid = x.indexrelid
 WHERE c.relnamespace = 'public'::regnamespace
 ORDER BY c.relname, NOT x.indisprimary, i.relname
"""


class TableColumn(Struct, frozen=True):
    """`default` is an expression of SQL, `identity`, or empty."""

    name: str
    type: str
    required: bool
    default: str
    comment: str


class Constraint(Struct, frozen=True):
    """`kind` is p (primary key), u (unique), x (exclusion), f (foreign key, to `other`) or c (check)."""

    name: str
    kind: str
    definition: str
    other: str
    columns: list[str]


class Index(Struct, frozen=True):
    name: str
    unique: bool
    definition: str


class Table(Struct, frozen=True):
    """`kind` says what is out of the ordinary, if anything."""

    name: str
    kind: str
    comment: str
    columns: list[TableColumn]
    constraints: list[Constraint]
    indexes: list[Index]


def read(connection: psycopg.Connection[Any]) -> list[Table]:
    """The application's tables, by name, as the migrations have made them."""
    columns = _by_table(connection, COLUMNS, TableColumn)
    constraints = _by_table(connection, CONSTRAINTS, Constraint)
    indexes = _by_table(connection, INDEXES, Index)
    return [
        Table(name, kind, comment, columns[name], constraints[name], indexes[name])
        for name, kind, comment in connection.execute(TABLES)
    ]


def _by_table(connection: psycopg.Connection[Any], query: str, row: Any) -> defaultdict[str, list[Any]]:
    found = defaultdict(list)
    with connection.cursor(row_factory=args_row(lambda table, *columns: (table, row(*columns)))) as cursor:
        for table, part in cursor.execute(query):
            found[table].append(part)
    return found
