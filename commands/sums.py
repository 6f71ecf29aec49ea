"""The command `resumen`: what was sold in each day, week or month of a shop's calendar, or by each user."""

import argparse
import asyncio
import csv
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from io import StringIO
from zoneinfo import ZoneInfo

from msgspec import to_builtins

from commands import sales
from commands.errors import CommandError, complain
from core.database.executors import Transaction
from core.files.dialect import Dialect
from core.files.writing import dressed
from core.instants import end_of_today
from core.problems import Problem
from core.process.settings import Settings
from sql import ventas_sums
from sql.ventas_sums import FIRST_SELLER, MOST_ROWS, SellerPlace, Suma, TooManyRows

DESCRIPTION = """\
Sum the sales of each day, week, month or user, as CSV: periodo or usuario_id, ventas, productos, importe. A period
is named by its first day, a week by its Monday; one without sales is there too. importe is in cents, or with
--decimal in units:

  scripts/ventas resumen --por mes --decimal coma --separador puntoycoma --zona America/Argentina/Buenos_Aires"""
EXIT_CODES = """
exit codes:
    0  done
    1  failed: standard error says why
    2  wrong usage
"""
PAGE = 1000  # users


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description, parser.epilog = DESCRIPTION, EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--por", choices=("dia", "semana", "mes", "usuario"), default="dia", help="dia unless given"
    )
    sales.add_selection(parser)
    sales.add_zone(parser)
    sales.add_decimal(parser)
    sales.add_separator(parser)


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print the sums that `arguments` ask for, of the database of `settings`; returns the exit code."""
    try:
        asyncio.run(_print(arguments, settings, arguments.zona or settings.zone))
    except Problem as problem:
        complain(problem.__cause__ or problem)
    except TooManyRows:
        complain(f"more than {MOST_ROWS:,} periods: give a later --since, or sum --por mes")
    except CommandError as error:
        complain(error)
    else:
        return 0
    return 1


async def _print(arguments: argparse.Namespace, settings: Settings, zone: ZoneInfo) -> None:
    dialect = Dialect(separador=arguments.separador, decimal=arguments.decimal)
    async with sales.transaction(settings.database_url) as tx:
        async for block in dressed(
            _blocks(_sums(tx, arguments, settings, zone), arguments.por), Suma, dialect
        ):
            sys.stdout.write(block.decode())


async def _sums(
    tx: Transaction, arguments: argparse.Namespace, settings: Settings, zone: ZoneInfo
) -> AsyncIterator[list[Suma]]:
    usuario_id = await sales.user_id(tx, arguments.user)
    desde, hasta = sales.since(arguments.since, zone), sales.until(arguments.until, zone)
    if arguments.por != "usuario":
        yield await ventas_sums.by_period(
            tx,
            arguments.por,
            zone,
            usuario_id=usuario_id,
            since=settings.first_sale,
            desde=desde,
            hasta=hasta,
        )
        return
    after: SellerPlace | None = FIRST_SELLER
    while after:
        page = await ventas_sums.by_user(
            tx,
            usuario_id=usuario_id,
            desde=desde or settings.first_sale,
            hasta=hasta if arguments.until else end_of_today(zone),
            best_first=False,
            after=after,
            limit=PAGE,
        )
        yield page
        last = page[-1].usuario_id if len(page) == PAGE else None
        after = SellerPlace(last, "") if isinstance(last, int) else None


async def _blocks(sums: AsyncIterator[list[Suma]], por: str) -> AsyncGenerator[bytes, None]:
    """The sums as CSV, with its header."""
    header = [["usuario_id" if por == "usuario" else "periodo", "ventas", "productos", "importe"]]
    async for rows in sums:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [*header, *(to_builtins(row).values() for row in rows)]
        )
        yield text.getvalue().encode()
        header = []
