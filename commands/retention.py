"""The command `retention`: drops the audit's months that were kept long enough, for a person or a cron job."""

import argparse
import sys

from commands.errors import complain
from core.migrating.migrations import MigrationError
from sql import auditoria_months, auditoria_retention

EXIT_CODES = """
exit codes:
    0  done, or nothing to do
    1  failed or refused: standard error says why
    2  wrong usage, or dropping was not confirmed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    parser.description = (
        "Make the missing months of the audit and, as the tables' owner, drop those that are too old."
    )
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--dry-run", action="store_true", help="show what would be dropped, and drop nothing")
    parser.add_argument("--yes", action="store_true", help="drop without asking")
    parser.add_argument(
        "--accept", action="store_true", help="lay down this AUDIT_MONTHS for every process that has another"
    )


def run(arguments: argparse.Namespace, url: str, months: int) -> int:
    """Do what `arguments` say to the database at `url`, where the audit is kept for `months`; returns the exit code."""
    try:
        if not arguments.dry_run:
            auditoria_months.make_months(url)
            auditoria_retention.agree(url, months, accept=arguments.accept)
        names = auditoria_retention.due(url, months)
        print("\n".join(f"{name}: due" for name in names) or "nothing is due")
        if arguments.dry_run or not names:
            return 0
        if not (arguments.yes or sys.stdin.isatty()):
            complain("it asks first: run it at a terminal, or add --yes")
            return 2
        if not (arguments.yes or input(f"Drop {len(names)}? [y/N] ").strip().lower() in ("y", "yes")):
            return 2
        auditoria_retention.forget(url, months)
    except MigrationError as error:
        complain(error)
        return error.exit_code
    return 0
