"""The page docs/schema.md: every table, what holds in it, and which statement each index is for."""

from collections.abc import Iterable

from commands.statements_page import anchor
from sql.catalogue import Statement
from sql.schema import Constraint, Index, Table, TableColumn

INTRODUCTION = """\
# Database schema: tables, columns, constraints, indexes

The tables as the [migrations](migrations.md) make them. `scripts/ventas queries --markdown` writes this page; a test
holds it current. What the API refuses, a constraint refuses too: plain SQL cannot make a row that the API could not.
Who may do what with them is in [roles.sql](roles.sql); the migration tool's own tables are in
[migrations.md](migrations.md#where-it-is-kept).
"""


def schema_page(tables: list[Table], statements: list[Statement]) -> str:
    """The whole page, as Markdown."""
    return "\n".join([INTRODUCTION, _diagram(tables), *(_section(table, statements) for table in tables)])


def _diagram(tables: list[Table]) -> str:
    lines = [f"    {line}" for table in tables for line in (*_entity(table), *_relations(table))]
    return "\n".join(["```mermaid", "erDiagram", *lines, "```", ""])


def _entity(table: Table) -> list[str]:
    keys = {"p": "PK", "f": "FK"}
    lines = []
    for column in table.columns:
        marks = [keys[c.kind] for c in table.constraints if c.kind in keys and column.name in c.columns]
        lines.append(f"    {column.type.replace(' ', '_')} {column.name} {', '.join(marks)}".rstrip())
    return [f"{table.name} {{", *lines, "}"]


def _relations(table: Table) -> list[str]:
    return [
        f'{c.other} ||--o{{ {table.name} : "{", ".join(c.columns)}"' for c in table.constraints if c.other
    ]


def _section(table: Table, statements: list[Statement]) -> str:
    kind = f" {table.kind}." if table.kind else ""
    return f"""\
## {table.name}

{table.comment}{kind}

| column | type | null | default | meaning |
|---|---|---|---|---|
{_rows(_column(column) for column in table.columns)}

| constraint | |
|---|---|
{_rows(_constraint(constraint) for constraint in table.constraints)}

| index | on | serves |
|---|---|---|
{_rows(_index(index, statements) for index in table.indexes)}
"""


def _column(column: TableColumn) -> list[str]:
    null = "" if column.required else "null"
    return [_code(column.name), column.type, null, _code(column.default), column.comment]


def _constraint(constraint: Constraint) -> list[str]:
    return [_code(constraint.name), _code(constraint.definition)]


def _index(index: Index, statements: list[Statement]) -> list[str]:
    served = [_link(statement) for statement in statements if index.name in statement.indexes]
    unique = "unique " if index.unique else ""
    return [_code(index.name), f"{unique}{_code(index.definition)}", ", ".join(served)]


def _link(statement: Statement) -> str:
    return f"[{statement.name}](statements.md#{anchor(statement)})"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _rows(rows: Iterable[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
