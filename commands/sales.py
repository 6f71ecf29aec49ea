"""What the commands about sales share: whose, from when to when, in which zone, and how they write amounts."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from zoneinfo import ZoneInfo

from commands.errors import CommandError
from core import zones
from core.database.database import open_database
from core.database.executors import Transaction
from core.files.dialect import DECIMALS, SEPARATORS
from core.instants import DAY_LENGTH, end_of, moment
from sql import usuarios

MOMENT = "a day like 2026-01-31 or a time like 2026-01-31T10:00:00-03:00"


def add_zone(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--zona",
        type=_zone,
        metavar="ZONE",
        help="whose midnight ends a day, e.g. America/Argentina/Buenos_Aires; TIMEZONE unless given",
    )


def add_decimal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--decimal",
        choices=tuple(DECIMALS),
        help="amounts are in units, with a decimal comma (1.500,00) or point (1,500.00); without it, whole cents",
    )


def add_separator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--separador", choices=tuple(SEPARATORS), default="coma", help="what separates the cells of a CSV"
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The options that choose sales: whose, and from when to when."""
    parser.add_argument("--user", metavar="USERNAME", help="only this user's sales")
    parser.add_argument(
        "--since", metavar="TIME", help="only sales from this day or time on: 2026-01-31, or RFC 3339"
    )
    parser.add_argument(
        "--until", metavar="TIME", help="only sales up to this day, included, or before this time"
    )


@asynccontextmanager
async def transaction(url: str) -> AsyncIterator[Transaction]:
    async with open_database(url, pool_min=0, pool_max=1, prepare=False) as db, db.transaction() as tx:
        yield tx


async def user_id(tx: Transaction, username: str | None) -> int | None:
    """The user's id; None where none is named. Raises CommandError."""
    if username is None:
        return None
    user = await usuarios.credentials(tx, username)
    if user is None:
        raise CommandError(f"there is no user {username}")
    return user.id


def since(text: str | None, zone: ZoneInfo) -> datetime | None:
    """From when on: a day begins at its midnight. Raises CommandError."""
    try:
        return None if text is None else moment(text, zone)
    except ValueError:
        raise CommandError(f"{text}: {MOMENT} is wanted") from None


def until(text: str | None, zone: ZoneInfo) -> datetime | None:
    """Until when: a day counts whole. Raises CommandError."""
    end = since(text, zone)
    return end_of(date.fromisoformat(text), zone) if text and len(text) == DAY_LENGTH else end


def _zone(name: str) -> ZoneInfo:
    try:
        return zones.zone(name)
    except zones.UnknownZone as unknown:
        near = " or ".join(unknown.near) or "America/Argentina/Buenos_Aires"
        raise argparse.ArgumentTypeError(f"the IANA name of a zone is wanted, such as {near}") from None
