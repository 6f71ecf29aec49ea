"""The commands `import` and `export`: files of sales, straight to and from the database."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from commands.progress import Bar
from core.database.database import Transaction, open_database
from core.problems import Problem
from sql import usuarios, ventas_export, ventas_import, ventas_list
from sql.renglones import Formato
from sql.ventas_import import InvalidFile
from sql.ventas_list import Filters

CHUNK = 64 * 1024
EXIT_CODES = """
exit codes:
    0  done
    1  failed, and nothing was changed: standard error says why
    2  wrong usage
  130  interrupted, and nothing was changed
"""


class CommandError(Exception):
    """What keeps the command from its work, for the person who gave it."""


def add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare the options of `command`, import or export."""
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", help="its path; - for standard input or output")
    parser.add_argument(
        "--format", choices=("csv", "ndjson"), help="what the file's name says, unless given: csv or ndjson"
    )
    if command == "import":
        parser.description = "Import the sales of a CSV or NDJSON file: all of them, or none."
        parser.add_argument("--user", metavar="USERNAME", help="whose sales those without usuario_id are")
        parser.add_argument("--simulate", action="store_true", help="check the file, import nothing")
    else:
        parser.description = "Export sales as CSV or NDJSON, oldest first; import reads both."
        parser.add_argument("--user", metavar="USERNAME", help="only this user's sales")
        parser.add_argument(
            "--since", type=_moment, metavar="TIME", help="only sales from this time on (RFC 3339)"
        )
        parser.add_argument(
            "--until", type=_moment, metavar="TIME", help="only sales before this time (RFC 3339)"
        )


def run(command: str, arguments: argparse.Namespace, url: str) -> int:
    """Do what `arguments` say to the database at `url` (libpq's URL); returns the exit code."""
    formato: Formato = arguments.format or (
        "ndjson" if arguments.file.endswith((".ndjson", ".jsonl")) else "csv"
    )
    work = _import if command == "import" else _export
    try:
        asyncio.run(work(arguments, url, formato))
    except InvalidFile as error:
        for wrong in error.errores:
            print(f"{arguments.file}:{wrong.linea}: {wrong.campo}: {wrong.mensaje}", file=sys.stderr)
        return _failed("nothing was imported")
    except Problem as problem:
        return _failed(problem.__cause__ or problem)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # or Python complains again at its exit
        return _failed("nobody reads the output any more")
    except (CommandError, OSError) as error:
        return _failed(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


async def _import(arguments: argparse.Namespace, url: str, formato: Formato) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        while chunk := source.read(CHUNK):
            read += len(chunk)
            yield chunk

    done, doing = ("checked", "checking") if arguments.simulate else ("imported", "inserting")
    with _source(arguments.file) as source, Bar(os.fstat(source.fileno()).st_size, f"{doing} them") as bar:
        async with _transaction(url) as tx:
            loaded = await ventas_import.load(
                tx.connection,
                chunks(),
                formato,
                default_owner=await _user_id(tx, arguments.user),
                may_write_others=True,
                simulate=arguments.simulate,
                progress=lambda rows: bar.show(read, rows),
            )
        bar.finish(f"{loaded.filas:,} sales {done}")


async def _export(arguments: argparse.Namespace, url: str, formato: Formato) -> None:
    rows = -1 if formato == "csv" else 0  # the header is not a sale
    async with _transaction(url) as tx:
        user_id = await _user_id(tx, arguments.user)
        filters = Filters(usuario_id=user_id, desde=arguments.since, hasta=arguments.until)
        with Bar(await ventas_list.estimate(tx, filters)) as bar, _target(arguments.file) as target:
            async with aclosing(ventas_export.export(tx.connection, filters, formato)) as blocks:
                async for block in blocks:
                    target.write(block)
                    rows += block.count(b"\n")
                    bar.show(rows, rows)
            target.flush()
            bar.finish(f"{rows:,} sales exported")


@asynccontextmanager
async def _transaction(url: str) -> AsyncIterator[Transaction]:
    async with open_database(url, pool_min=0, pool_max=1, prepare=False) as db, db.transaction() as tx:
        yield tx


async def _user_id(tx: Transaction, username: str | None) -> int | None:
    if username is None:
        return None
    user = await usuarios.credentials(tx, username)
    if user is None:
        raise CommandError(f"there is no user {username}")
    return user.id


@contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
    else:
        with Path(file).open("rb") as source:
            yield source


@contextmanager
def _target(file: str) -> Iterator[BinaryIO]:
    """Standard output, a device or a pipe; or a file, which takes its name only when it is whole."""
    path = Path(file).resolve()
    if file == "-":
        yield sys.stdout.buffer
    elif path.exists() and not path.is_file():
        with path.open("wb") as target:
            yield target
    else:
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as target:
                yield target
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _moment(text: str) -> datetime:
    """A time of RFC 3339; without an offset it is UTC."""
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError("a time like 2026-01-31T10:00:00Z is wanted") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _failed(reason: object) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 1
