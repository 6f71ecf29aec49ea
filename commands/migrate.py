"""The command `migrate`: the migration guard for a person at a terminal, or a release script."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import complain
from core.migrating.migrations import FOLDER, Migration, MigrationError, header, status

if TYPE_CHECKING:
    from core.migrating.steps import MigrationStep

EXIT_CODES = """
exit codes:
    0  done, or nothing to do
    1  failed: standard error says why
    2  wrong usage, or --rollback was not confirmed
    3  --status: migrations are pending
    4  a file was edited after it was applied
    5  the database has migrations that this code lacks
    6  a lock was not granted within the attempts
    7  the URL goes through a connection pooler
  130  interrupted
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    parser.description = (
        "Apply the pending migrations, one process at a time. Safe to interrupt and to repeat."
    )
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--status", action="store_true", help="list the migrations: applied, pending, edited, ahead"
    )
    action.add_argument("--dry-run", action="store_true", help="show what would run and which locks it takes")
    action.add_argument(
        "--rollback",
        nargs="?",
        const=1,
        type=_positive_number,
        metavar="N",
        help="undo the last N migrations (1)",
    )
    action.add_argument(
        "--accept", nargs="+", metavar="NAME", help="record the text of an applied file that was edited"
    )
    parser.add_argument("--yes", action="store_true", help="roll back without asking")
    parser.add_argument(
        "--attempts",
        type=_positive_number,
        default=10,
        metavar="N",
        help="how often to try for a lock (%(default)s)",
    )
    parser.add_argument(
        "--through-pooler",
        action="store_true",
        help="the URL's pooler keeps one server session per client (session mode): go on",
    )


def run(arguments: argparse.Namespace, url: str, folder: Path = FOLDER) -> int:
    """Do what `arguments` say to the database at `url` (libpq's URL); returns the exit code."""
    try:
        if arguments.status:
            return _show_status(status(url, folder))
        return _guarded(arguments, url, folder)
    except MigrationError as error:
        if error.diff:
            print(error.diff, flush=True)
        complain(error)
        return error.exit_code
    except (KeyboardInterrupt, EOFError):
        print("interrupted: run it again to go on", file=sys.stderr)
        return 130


def applies(arguments: argparse.Namespace) -> bool:
    """Whether `arguments` say to apply what is pending."""
    return not (arguments.status or arguments.dry_run or arguments.accept or arguments.rollback is not None)


def _guarded(arguments: argparse.Namespace, url: str, folder: Path) -> int:
    from core.migrating import (
        guard,  # here, so that a server's start does not wait for yoyo's import
    )

    options = {"say": _say, "through_pooler": arguments.through_pooler}
    if arguments.dry_run:
        _show_plan(guard.plan(url, folder))
    elif arguments.accept:
        guard.accept(url, arguments.accept, folder, **options)
    elif arguments.rollback is None:
        done = guard.apply(url, folder, attempts=arguments.attempts, **options)
        _say(f"{len(done)} applied" if done else "nothing to apply")
    elif arguments.yes or sys.stdin.isatty():
        confirm = (lambda steps: True) if arguments.yes else _confirm
        done = guard.rollback(
            url, arguments.rollback, folder, confirm=confirm, attempts=arguments.attempts, **options
        )
        _say(f"{len(done)} undone")
        return 0 if done else 2
    else:
        complain("--rollback asks first: run it at a terminal, or add --yes")
        return 2
    return 0


def _confirm(steps: list[MigrationStep]) -> bool:
    for step in steps:
        print(f"{step.name}: {header(step.text).get('Undo', 'its file does not say what is lost')}")
    return input(f"Undo {len(steps)}? [y/N] ").strip().lower() in ("y", "yes")


def _show_status(migrations: list[Migration]) -> int:
    for migration in migrations:
        print(f"{migration.state:8} {_when(migration.applied_at):20} {migration.name}")
    states = {migration.state for migration in migrations}
    return next((code for state, code in (("ahead", 5), ("edited", 4), ("pending", 3)) if state in states), 0)


def _show_plan(steps: list[MigrationStep]) -> None:
    for step in steps:
        kind = "one transaction" if step.transactional else "each on its own"
        print(f"-- {step.name}: statements: {len(step.statements)}, {kind}")
        print(f"-- locks: {header(step.text).get('Locks', 'its file does not say')}")
        print(step.text)
    print(f"-- {len(steps)} to apply" if steps else "-- nothing to apply")


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else "-"


def _say(line: str) -> None:
    print(line, flush=True)


def _positive_number(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
