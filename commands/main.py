"""The command line: `python app.py` and its subcommands."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from msgspec import structs

from commands import accounts, migrate, odd_names, queries, retention, serve, transfer
from core.local.embedded import EmbeddedPostgresError, temporary_postgres
from core.migrating.migrations import MigrationError
from core.process import start
from core.process.application import StartError
from core.process.settings import Settings
from sql import auditoria_months, auditoria_retention

DESCRIPTION = "The API over PostgreSQL for users and their sales. Without a command it serves."

INTERRUPTED = 130  # as shells say it
FILES = {"import": "import the sales of a file", "export": "export sales to a file"}
ACCOUNTS = {"create-admin": "make an admin", "revoke": "end every session of a user"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 refused or failed, 2 not a command,
    130 interrupted."""
    parser = argparse.ArgumentParser(prog="python app.py", description=DESCRIPTION)
    parser.set_defaults(run=_serve, reload=False)
    parser.add_argument("--reload", action="store_true", help="start again when the code changes")
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
    names = commands.add_parser("odd-names", help="list users whose names could not be registered today")
    odd_names.add_arguments(names)
    names.set_defaults(run=_odd_names)
    for name, summary in FILES.items():
        file = commands.add_parser(name, help=summary)
        transfer.add_arguments(file, name)
        file.set_defaults(run=partial(_transfer, name))
    statements = commands.add_parser("queries", help="show every SQL statement, and its plan")
    queries.add_arguments(statements)
    statements.set_defaults(run=partial(_queries, commands.choices))
    chosen = parser.parse_args(arguments)
    try:
        code: int = chosen.run(start.load_settings(os.environ), chosen)
    except (StartError, EmbeddedPostgresError, MigrationError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _serve(settings: Settings, chosen: argparse.Namespace) -> int:
    return serve.serve(settings, reload=chosen.reload)


def _migrate(settings: Settings, chosen: argparse.Namespace) -> int:
    with start.direct_url(settings) as url:
        code = migrate.run(chosen, url)
        if code == 0 and migrate.applies(chosen):
            auditoria_months.make_months(url)
            auditoria_retention.agree(url, settings.audit_months)
        if chosen.status or chosen.dry_run:
            for name in auditoria_retention.due(url, settings.audit_months):
                print(f"-- {name} was kept long enough: `python app.py retention` drops it")
        return code


def _retention(settings: Settings, chosen: argparse.Namespace) -> int:
    with _migrated(settings, start.direct_url(settings)) as url:
        return retention.run(chosen, url, settings.audit_months)


def _account(command: str, settings: Settings, chosen: argparse.Namespace) -> int:
    return accounts.run(command, chosen)


def _odd_names(settings: Settings, chosen: argparse.Namespace) -> int:
    return odd_names.run()


def _transfer(command: str, settings: Settings, chosen: argparse.Namespace) -> int:
    with _migrated(settings, start.database_url(settings)) as url:
        return transfer.run(command, chosen, structs.replace(settings, database_url=url))


def _queries(commands: Iterable[str], settings: Settings, chosen: argparse.Namespace) -> int:
    database = temporary_postgres() if chosen.markdown else start.database_url(settings)
    return queries.run(chosen, _migrated(settings, database), commands)


@contextmanager
def _migrated(settings: Settings, database: AbstractContextManager[str]) -> Iterator[str]:
    """The database's URL, with every migration applied. Raises StartError."""
    with database as url:
        start.migrate_or_refuse(structs.replace(settings, database_url=url, database_direct_url=""))
        yield url
