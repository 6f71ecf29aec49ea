"""The command line: `python app.py` and its subcommands."""

import argparse
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import uvicorn
from msgspec import structs

from core import migration_command, start
from core.asgi import StartError
from core.embedded import EmbeddedPostgresError, temporary_postgres
from core.migrations import MigrationError
from core.settings import Settings
from handlers import accounts, queries
from sql import particiones

DESCRIPTION = "The API over PostgreSQL for users and their sales. Without a command it serves."

ACCOUNTS = {"create-admin": "make an admin", "revoke": "end every session of a user"}

SERVER: dict[str, object] = {
    "loop": "uvloop",
    "http": "httptools",
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": 20,
    "log_level": "warning",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 refused or failed, 2 not a command."""
    parser = argparse.ArgumentParser(prog="python app.py", description=DESCRIPTION)
    parser.set_defaults(run=_serve, reload=False)
    parser.add_argument("--reload", action="store_true", help="start again when the code changes")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    migrate = commands.add_parser("migrate", help="apply, show or undo migrations")
    migration_command.add_arguments(migrate)
    migrate.set_defaults(run=_migrate)
    for name, summary in ACCOUNTS.items():
        command = commands.add_parser(name, help=summary)
        accounts.add_arguments(command, name)
        command.set_defaults(run=partial(_account, name))
    statements = commands.add_parser("queries", help="show every SQL statement, and its plan")
    queries.add_arguments(statements)
    statements.set_defaults(run=partial(_queries, commands.choices))
    chosen = parser.parse_args(arguments)
    try:
        code: int = chosen.run(start.load_settings(os.environ), chosen)
    except (StartError, EmbeddedPostgresError, MigrationError) as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _serve(settings: Settings, chosen: argparse.Namespace) -> int:
    options = SERVER | {"host": settings.host, "port": settings.port}
    if chosen.reload or settings.web_concurrency > 1:
        print(_welcome(settings.host, settings.port), flush=True)
        uvicorn.run("app:app", **options, reload=chosen.reload, workers=settings.web_concurrency)  # type: ignore[arg-type]
        return 0
    server = _Announcing(uvicorn.Config("app:app", **options))  # type: ignore[arg-type]
    server.run()
    return 0 if server.started else 1


def _migrate(settings: Settings, chosen: argparse.Namespace) -> int:
    with start.direct_url(settings) as url:
        code = migration_command.run(chosen, url)
        if code == 0 and migration_command.applies(chosen):
            particiones.make_months(url)
        return code


def _account(command: str, settings: Settings, chosen: argparse.Namespace) -> int:
    return accounts.run(command, chosen)


def _queries(commands: Iterable[str], settings: Settings, chosen: argparse.Namespace) -> int:
    database = temporary_postgres() if chosen.markdown else start.database_url(settings)
    return queries.run(chosen, _migrated(settings, database), commands)


@contextmanager
def _migrated(settings: Settings, database: AbstractContextManager[str]) -> Iterator[str]:
    """The database's URL, with every migration applied. Raises StartError."""
    with database as url:
        start.migrate_or_refuse(structs.replace(settings, database_url=url, database_direct_url=""))
        yield url


class _Announcing(uvicorn.Server):
    """Says where it listens, once it does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for server in self.servers:
            host, port = server.sockets[0].getsockname()[:2]
            print(_welcome(host, port), flush=True)


def _welcome(host: str, port: int) -> str:
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - only compared
    return f"""\
Listening on {url}  (Ctrl-C stops it)
Docs         {url}/docs
Try          curl {url}/user/ -H 'Content-Type: application/json' -d '{{"username": "ana", "password": "123",
               "nombre": "Ana", "apellido": "Paz", "telefono": 2604538424, "correo": "ana@example.com"}}'"""
