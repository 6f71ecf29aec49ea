"""The command line: `scripts/ventas` and its subcommands."""

import argparse
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from msgspec import structs
from uvicorn.config import STARTUP_FAILURE

from commands import (
    accounts,
    check,
    fresh,
    migrate,
    odd_names,
    queries,
    retention,
    seed,
    serve,
    sums,
    transfer,
)
from commands.errors import complain
from core.local.embedded import EmbeddedPostgresError, temporary_postgres
from core.migrating.migrations import MigrationError
from core.process import start
from core.process.application import StartError
from core.process.settings import Settings
from sql import auditoria_months, auditoria_retention

DESCRIPTION = "The API over PostgreSQL for users and their sales. Without a command it serves."

LANGUAGES = "Commands speak English; of data, a field or a line, they quote the API, which speaks Spanish."
OPTIONS = ("-h", "--help", "--reload", "--fresh", "--yes")
INTERRUPTED = 130  # as shells say it
FILES = {"import": "import the sales of a file", "export": "export sales to a file"}
ACCOUNTS = {"create-admin": "make an admin", "revoke": "end every session and API key of a user"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 refused or failed, 2 not a command,
    130 interrupted."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="scripts/ventas", description=DESCRIPTION, epilog=LANGUAGES)
    parser.set_defaults(run=_serve, reload=False, fresh=False, yes=False)
    parser.add_argument("--reload", action="store_true", help="start again when the code changes")
    parser.add_argument(
        "--fresh", action="store_true", help="delete the data of this machine's own PostgreSQL first; asks"
    )
    parser.add_argument("--yes", action="store_true", help="delete them without asking")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    migrating = commands.add_parser("migrate", help="apply, show or undo migrations")
    migrate.add_arguments(migrating)
    migrating.set_defaults(run=_migrate)
    retaining = commands.add_parser(
        "retention", help="drop the months of the audit that were kept long enough"
    )
    retention.add_arguments(retaining)
    retaining.set_defaults(run=_retention)
    for name, summary in ACCOUNTS.items():
        account = commands.add_parser(name, help=summary)
        accounts.add_arguments(account, name)
        account.set_defaults(run=partial(_account, name))
    checking = commands.add_parser("check", help="tell what a start would refuse and a review would ask")
    check.add_arguments(checking)
    checking.set_defaults(run=_check)
    seeding = commands.add_parser("seed", help="add users and a year of invented sales, to try things on")
    seed.add_arguments(seeding)
    seeding.set_defaults(run=_seed)
    names = commands.add_parser("odd-names", help="list users whose names could not be registered today")
    odd_names.add_arguments(names)
    names.set_defaults(run=_odd_names)
    for name, summary in FILES.items():
        file = commands.add_parser(name, help=summary)
        transfer.add_arguments(file, name)
        file.set_defaults(run=partial(_transfer, name))
    summing = commands.add_parser("resumen", help="sum sales by day, week, month or user")
    sums.add_arguments(summing)
    summing.set_defaults(run=_resumen)
    statements = commands.add_parser("queries", help="show every SQL statement, and its plan")
    queries.add_arguments(statements)
    statements.set_defaults(run=partial(_queries, commands.choices))
    chosen = _parsed(parser, sys.argv[1:] if arguments is None else arguments)
    try:
        code: int = chosen.run(start.load_settings(os.environ), chosen)
        sys.stdout.flush()
    except (StartError, EmbeddedPostgresError, MigrationError) as error:
        complain(error, os.environ.get("LOG_FORMAT", "") if chosen.run is _serve else "")
        return 1
    except BrokenPipeError:
        # Python would complain again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain("nobody reads the output any more")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments, after a look at the first: argparse takes the value of an unknown option for a command."""
    first = arguments[0] if arguments else ""
    if first.startswith("-") and first not in OPTIONS:
        parser.error(
            f"there is no option {first}; settings are in the environment or in .env, such as PORT=8001"
        )
    return parser.parse_args(arguments)


def _serve(settings: Settings, chosen: argparse.Namespace) -> int:
    if chosen.fresh and (code := fresh.run(settings, yes=chosen.yes)):
        return code
    try:
        return serve.serve(settings, reload=chosen.reload)
    except StartError as error:
        complain(error, settings.log_format)
        return STARTUP_FAILURE


def _migrate(settings: Settings, chosen: argparse.Namespace) -> int:
    with start.direct_url(settings) as url:
        code = migrate.run(chosen, url)
        if code == 0 and migrate.applies(chosen):
            auditoria_months.make_months(url)
            auditoria_retention.agree(url, settings.audit_months)
        if chosen.status or chosen.dry_run:
            for name in auditoria_retention.due(url, settings.audit_months):
                print(f"-- {name} was kept long enough: `scripts/ventas retention` drops it")
        return code


def _retention(settings: Settings, chosen: argparse.Namespace) -> int:
    with _migrated(settings, start.direct_url(settings)) as url:
        return retention.run(chosen, url, settings.audit_months)


def _account(command: str, settings: Settings, chosen: argparse.Namespace) -> int:
    return accounts.run(command, chosen)


def _check(settings: Settings, chosen: argparse.Namespace) -> int:
    return check.run(settings, lambda: start.database_url(settings))


def _seed(settings: Settings, chosen: argparse.Namespace) -> int:
    return seed.run(chosen, settings)


def _odd_names(settings: Settings, chosen: argparse.Namespace) -> int:
    return odd_names.run()


def _transfer(command: str, settings: Settings, chosen: argparse.Namespace) -> int:
    with _migrated(settings, start.database_url(settings)) as url:
        return transfer.run(command, chosen, structs.replace(settings, database_url=url))


def _resumen(settings: Settings, chosen: argparse.Namespace) -> int:
    with _migrated(settings, start.database_url(settings)) as url:
        return sums.run(chosen, structs.replace(settings, database_url=url))


def _queries(commands: Iterable[str], settings: Settings, chosen: argparse.Namespace) -> int:
    database = temporary_postgres() if chosen.markdown else start.database_url(settings)
    return queries.run(chosen, _migrated(settings, database), commands)


@contextmanager
def _migrated(settings: Settings, database: AbstractContextManager[str]) -> Iterator[str]:
    """The database's URL, with every migration applied. Raises StartError."""
    with database as url:
        start.migrate_or_refuse(structs.replace(settings, database_url=url, database_direct_url=""))
        yield url
