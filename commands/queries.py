"""The command `queries`: every statement, who runs it and, when the database is asked, how it goes about it."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg

from commands.callers import callers
from commands.errors import complain
from commands.schema_page import schema_page
from commands.statements_page import statements_page
from core.checkout import CHECKOUT
from core.migrating.migrations import one_line
from sql import schema
from sql.catalogue import Statement, statements
from sql.plans import Planner, planning
from sql.pressure import INDEXES

EXIT_CODES = """
exit codes:
    0  done
    1  failed: standard error says why
    2  wrong usage
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    parser.description = "Show every statement that the application sends to its database."
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only these: ventas.by_id, or ventas for all of a module's"
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="ask the database for the types and for each plan, as the application runs it",
    )
    parser.add_argument(
        "--indexes",
        action="store_true",
        help="show each index instead: its bytes, how often it was read, and the statements that it serves",
    )
    parser.add_argument(
        "--markdown",
        nargs="?",
        const=CHECKOUT / "docs",
        type=Path,
        metavar="FOLDER",
        help="write statements.md and schema.md anew instead, in docs or FOLDER, from a new database",
    )


def run(arguments: argparse.Namespace, database: AbstractContextManager[str], commands: Iterable[str]) -> int:
    """Do what `arguments` say, with the URL of a `database` that is only asked for when needed."""
    known = {name for statement in statements() for name in _names(statement)}
    if unknown := [name for name in arguments.names if name not in known]:
        complain(f"no statement is named {' or '.join(unknown)}")
        return 1
    asked = set(arguments.names) or known
    chosen = [statement for statement in statements() if asked.intersection(_names(statement))]
    who = callers(commands)
    if not (arguments.plan or arguments.markdown or arguments.indexes):
        print("\n\n".join(_described(statement, who[statement.place]) for statement in chosen))
        return 0
    try:
        with database as url, planning(url) as planner:
            if arguments.indexes:
                print("\n".join(_indexes(planner.connection.execute(INDEXES).fetchall())))
            elif arguments.markdown:
                _write(arguments.markdown, planner, who)
            else:
                print("\n\n".join(_planned(statement, who[statement.place], planner) for statement in chosen))
    except psycopg.Error as error:
        complain(one_line(error))
        return 1
    return 0


def _names(statement: Statement) -> list[str]:
    """What it may be asked for by: its name, or its module's."""
    return [statement.name, statement.name.partition(".")[0]]


def _described(statement: Statement, entries: list[str], types: dict[str, str] | None = None) -> str:
    parameters = ", ".join(f"{name} {(types or {}).get(name, '')}".strip() for name in statement.parameters)
    return "\n".join(
        [
            f"{statement.name}: {statement.purpose}",
            f"    cost        {statement.cost}",
            f"    parameters  {parameters or 'none'}",
            f"    run by      {', '.join(entries)}",
        ]
    )


def _planned(statement: Statement, entries: list[str], planner: Planner) -> str:
    try:
        types = planner.types(statement)
        plan = planner.text(statement) or "nothing to plan"
    except psycopg.errors.InsufficientPrivilege as error:
        said = error.diag.message_primary
        return f"{_described(statement, entries)}\n    {said}: ask as the owner of the tables"
    plan = f"on {'a lane' if statement.lane else 'the pool'}:\n{plan}"
    indented = "\n".join(f"    {line}" for line in plan.splitlines())
    return f"{_described(statement, entries, types)}\n{indented}"


def _indexes(found: list[tuple[str, str, int, int, bool]]) -> Iterator[str]:
    """A line per index, those that nobody has read first, and what these take."""
    for index, table, size, reads, unique in found:
        served = ", ".join(s.name for s in statements() if index in s.indexes)
        name = f"{index} on {table}{' (unique)' if unique else ''}"
        yield f"{size:>14,} bytes {reads:>12,} reads  {name}  {served}".rstrip()
    unused = [size for _, _, size, reads, unique in found if not reads and not unique]
    yield f"{sum(unused):>14,} bytes of {len(unused)} indexes that nobody has read and that enforce nothing"


def _write(folder: Path, planner: Planner, who: dict[str, list[str]]) -> None:
    pages = {
        "statements.md": statements_page(statements(), who, planner.types),
        "schema.md": schema_page(schema.read(planner.connection), statements()),
    }
    for name, text in pages.items():
        (folder / name).write_text(text, "utf-8")
        print(f"{folder / name} written")
