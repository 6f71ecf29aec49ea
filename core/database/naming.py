"""A statement's name, kept where PostgreSQL keeps it."""

import re
from functools import cache

NAME = re.compile(r"\s*-- (\w+\.\w+):")


@cache
def named(sql: str) -> str:
    """The statement as it is sent: with its name at its end too.

    pg_stat_activity cuts the end of a long text; pg_stat_statements, from PostgreSQL 18 on, what comes before
    its first word."""
    name = NAME.match(sql)
    return f"{sql.rstrip()} -- {name[1]}" if name else sql
