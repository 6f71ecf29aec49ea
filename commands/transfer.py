"""The commands `import` and `export`: files of sales, straight to and from the database."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import BinaryIO, get_args
from zoneinfo import ZoneInfo

from commands import sales
from commands.errors import CommandError, complain
from commands.progress import Bar
from core.files.dialect import CHARSETS, Dialect, Fecha, Formato
from core.files.refusals import InvalidFile
from core.files.writing import dressed
from core.instants import Dates
from core.problems import Problem
from core.process.settings import Settings
from sql import ventas_export, ventas_import, ventas_list
from sql.ventas_import import Renglon, Terms, open_renglones
from sql.ventas_list import SaleFilters

IMPORT = """\
Import the sales of a CSV or NDJSON file: all of them, or none. Each bad line is told.

A CSV has a header: venta, ventas_productos and, if wanted, usuario_id and creacion, in any order. It may be what a
spreadsheet saves: separated by comma, ; or tab, in UTF-8 or UTF-16. How it writes amounts and dates is not guessed:

  scripts/ventas import --user ana --decimal coma --fecha dma --zona America/Argentina/Buenos_Aires ventas.csv"""
EXPORT = """\
Export sales as CSV or NDJSON, oldest first; import reads both. For a spreadsheet in Spanish:

  scripts/ventas export --separador puntoycoma --decimal coma --fecha dma --bom \
      --zona America/Argentina/Buenos_Aires ventas.csv"""
CHUNK = 64 * 1024
EXIT_CODES = """
exit codes:
    0  done
    1  failed, and nothing was changed: standard error says why
    2  wrong usage
  130  interrupted, and nothing was changed
"""


def add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare the options of `command`, import or export."""
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", help="its path; - for standard input or output")
    parser.add_argument(
        "--format", choices=("csv", "ndjson"), help="what the file's name says, unless given: csv or ndjson"
    )
    sales.add_zone(parser)
    sales.add_decimal(parser)
    parser.add_argument(
        "--fecha",
        choices=get_args(Fecha),
        help="dates are 31/01/2026 22:15 (dma) or 01/31/2026 22:15 (mda); without it, 2026-01-31T22:15",
    )
    if command == "import":
        parser.description = IMPORT
        parser.add_argument("--user", metavar="USERNAME", help="whose sales those without usuario_id are")
        parser.add_argument("--simulate", action="store_true", help="check the file, import nothing")
        parser.add_argument(
            "--charset",
            choices=tuple(CHARSETS),
            metavar="CHARSET",
            default="utf-8",
            help="of a file without byte order mark: utf-8 unless given; of Excel's CSV often windows-1252",
        )
    else:
        parser.description = EXPORT
        sales.add_selection(parser)
        sales.add_separator(parser)
        parser.add_argument("--bom", action="store_true", help="begin with a byte order mark, as Excel wants")


def run(command: str, arguments: argparse.Namespace, settings: Settings) -> int:
    """Do what `arguments` say to the database of `settings`; returns the exit code."""
    formato: Formato = arguments.format or (
        "ndjson" if arguments.file.endswith((".ndjson", ".jsonl")) else "csv"
    )
    work = _import if command == "import" else _export
    try:
        asyncio.run(work(arguments, settings, formato, arguments.zona or settings.zone))
    except InvalidFile as error:
        for wrong in error.errores:
            print(f"{arguments.file}:{wrong.linea}: {wrong.campo}: {wrong.mensaje}", file=sys.stderr)
        return _failed("nothing was imported")
    except Problem as problem:
        return _failed(problem.__cause__ or problem)
    except BrokenPipeError:
        raise  # commands/main.py tells of it
    except CommandError as error:
        return _failed(error)
    except OSError as error:
        return _failed(f"{error.filename}: {error.strerror}" if error.filename else error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


async def _import(
    arguments: argparse.Namespace, settings: Settings, formato: Formato, zone: ZoneInfo
) -> None:
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        while chunk := source.read(CHUNK):
            read += len(chunk)
            yield chunk

    dialect = Dialect(
        charset=arguments.charset,
        decimal=arguments.decimal,
        fecha=arguments.fecha,
        zone=zone,
        say="--{} {}".format,
    )
    if formato == "ndjson" and not dialect.plain:
        raise CommandError("--decimal and --fecha are for CSV only")
    done, doing = ("checked", "checking") if arguments.simulate else ("imported", "inserting")
    with _source(arguments.file) as source, Bar(os.fstat(source.fileno()).st_size, f"{doing} them") as bar:
        async with sales.transaction(settings.database_url) as tx:
            dates = Dates.up_to_now(settings.first_sale, zone)
            loaded = await ventas_import.load(
                tx.connection,
                chunks(),
                open_renglones(formato, dialect),
                Terms(await sales.user_id(tx, arguments.user), may_write_others=True, dates=dates),
                simulate=arguments.simulate,
                progress=lambda rows: bar.show(read, rows),
            )
        bar.finish(f"{loaded.filas:,} sales {done}")


async def _export(
    arguments: argparse.Namespace, settings: Settings, formato: Formato, zone: ZoneInfo
) -> None:
    dialect = Dialect(
        separador=arguments.separador,
        decimal=arguments.decimal,
        fecha=arguments.fecha,
        zone=zone,
        bom=arguments.bom,
    )
    if formato == "ndjson" and (not dialect.plain or dialect.bom):
        raise CommandError("--separador, --decimal, --fecha and --bom are for CSV only")
    rows = -1 if formato == "csv" else 0  # the header is not a sale
    async with sales.transaction(settings.database_url) as tx:
        filters = SaleFilters(
            usuario_id=await sales.user_id(tx, arguments.user),
            desde=sales.since(arguments.since, zone),
            hasta=sales.until(arguments.until, zone),
        )
        with Bar(await ventas_list.estimate(tx, filters)) as bar, _target(arguments.file) as target:
            exported = ventas_export.export(tx.connection, filters, formato)
            async with aclosing(dressed(exported, Renglon, dialect)) as blocks:
                async for block in blocks:
                    target.write(block)
                    rows += block.count(b"\n")
                    bar.show(rows, rows)
            target.flush()
            bar.finish(f"{rows:,} sales exported")


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


def _failed(reason: object) -> int:
    complain(reason)
    return 1
