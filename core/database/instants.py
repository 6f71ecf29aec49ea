"""Times out of the database, as answers have them."""

from typing import Any

from psycopg.postgres import types
from psycopg.pq.abc import PGresult

from core.instants import rfc3339

Columns = tuple[Any, ...]
INSTANT = types["timestamptz"].oid


def with_fractions(result: PGresult, rows: list[Columns]) -> list[Columns]:
    """The rows of a result; a time whose fraction is zero is RFC 3339 text.

    JSON of a datetime has six digits of fraction or none; an answer always has six."""
    for column in range(result.nfields if rows else 0):
        if result.ftype(column) == INSTANT:
            rows = [
                row
                if (instant := row[column]) is None or instant.microsecond
                else (*row[:column], rfc3339(instant), *row[column + 1 :])
                for row in rows
            ]
    return rows
