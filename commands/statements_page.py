"""The page docs/statements.md: every statement, for the DBA."""

from collections.abc import Callable
from itertools import groupby

from sql.catalogue import Statement

INTRODUCTION = """\
# SQL statements: parameters, cost, indexes, and who runs each

Everything that the application asks of its database. `scripts/ventas queries --markdown` writes this page; tests hold
that it is current, that no other statement runs, and that on 100,000 users and 2,000,000 sales each plan uses the
indexes named here, reads no large table from end to end and sorts no large set, unless it says so here.

- A statement's name opens its text, which shows it in `pg_stat_activity`, and ends it, for `pg_stat_statements`.
- `scripts/ventas queries --plan NAME` prints its plan on the database of `DATABASE_URL`, as the application runs it: in
  a lane, whose one plan serves all values, or on the pool, for the values of a common call: the first page, no filter
  ([timeouts and planner settings](deploy.md#timeouts)).
- The indexes named here are those of large tables, both of that plan and of the one that the pool may keep for all
  values: the sales of a user who has few are found by one index, of a user with many by another. A small table, up to
  some thousands of rows, PostgreSQL reads from end to end, and that is right: it is a few pages.
- A parameter is written `%(name)s`, and sent apart from the text, or with COPY, which takes none, as a quoted literal.
- In *run by*, a call of the API runs a statement in some of its cases, not in all.

Beside these there are `BEGIN`, `COMMIT` and `ROLLBACK`; `SAVEPOINT`, `RELEASE` and `ROLLBACK TO` around an export;
`LISTEN`; `SET timezone`, through a pooler; and `SELECT 1`, once, when a process connects. `scripts/ventas migrate` runs
[migrations/](migrations.md) and keeps its records of them; `queries --plan` runs `PREPARE` and `EXPLAIN`.
"""


def statements_page(
    statements: list[Statement], callers: dict[str, list[str]], types: Callable[[Statement], dict[str, str]]
) -> str:
    """The whole page, as Markdown."""
    sections = [INTRODUCTION, _overview(statements)]
    for module, group in groupby(statements, key=lambda statement: statement.name.partition(".")[0]):
        sections.append(f"## {module}\n")
        sections += [_section(statement, callers[statement.place], types(statement)) for statement in group]
    return "\n".join(sections)


def _overview(statements: list[Statement]) -> str:
    rows = [f"| [{s.name}](#{anchor(s)}) | {s.purpose} |" for s in statements]
    return "\n".join(["| statement | purpose |", "|---|---|", *rows, ""])


def anchor(statement: Statement) -> str:
    """What a link to its section ends with."""
    return statement.name.replace(".", "")


def _section(statement: Statement, entries: list[str], types: dict[str, str]) -> str:
    parameters = [f"`{name}` {types.get(name, '')}".strip() for name in statement.parameters]
    facts = {
        "cost": statement.cost,
        "runs on": "a lane, with others' of the same moment" if statement.lane else "the pool",
        "parameters": ", ".join(parameters) or "none",
        "run by": ", ".join(f"`{entry}`" if entry[0].isupper() else entry for entry in entries),
    }
    lines = "\n".join(f"- {fact}: {value}" for fact, value in facts.items())
    return f"### {statement.name}\n\n{_sentence(statement.purpose)}\n\n{lines}\n\n```sql\n{statement.body}\n```\n"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
