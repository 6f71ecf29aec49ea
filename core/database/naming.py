"""A statement's name, kept where PostgreSQL keeps it."""

import re
from functools import cache

NAME = re.compile(r"\s*-- (\w+\.\w+):")


@cache
def named(sql: str) -> str:
    """The statement as it is sent: with its name at its end too.

    pg_stat_activity cuts the end of a long text; pg_stat_statements, from PostgreSQL 18 on, what comes before
    its first word."""
    name = name_of(sql)
    return f"{sql.rstrip()} -- {name}" if name else sql


def name_of(sql: str) -> str:
    """Its name, `table.name`; empty when it has none."""
    name = NAME.match(sql)
    return name[1] if name else ""
