"""The command `odd-names`: lists the users whose username or correo nobody could register today."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Callable

import msgspec

from core.problems import Problem
from core.process import start
from core.process.services import Services
from handlers.fields import Correo, Username, kept_correo, kept_username
from sql import usuarios_list
from sql.usuarios import Publico

PAGE = 1000
EXIT_CODES = """
exit codes:
    0  every name is as it should be
    1  failed: standard error says why
    3  there are such users: each has a line
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command is about; it takes nothing."""
    parser.description = (
        "List the users whose username or correo could not be registered today: it holds what nobody sees, or is no "
        "address. They log in as ever. Nothing is changed; each line has the id, the field and the value, in ASCII."
    )
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run() -> int:
    """Print them; returns the exit code. Raises StartError."""
    return asyncio.run(_run())


async def _run() -> int:
    code = 0
    async with start.services(os.environ) as services:
        async for user in _everyone(services):
            for field in odd_fields(user):
                print(user.id, field, ascii(getattr(user, field)))
                code = 3
    return code


def odd_fields(user: Publico) -> list[str]:
    """Which of username and correo no registration would keep so."""
    return [
        field
        for field, type_, kept in (("username", Username, kept_username), ("correo", Correo, kept_correo))
        if not _keeps(getattr(user, field), type_, kept)
    ]


def _keeps(value: str, type_: object, kept: Callable[[str], str]) -> bool:
    try:
        return kept(msgspec.convert(value, type_)).lower() == value.lower()
    except (msgspec.ValidationError, Problem):
        return False


async def _everyone(services: Services) -> AsyncIterator[Publico]:
    """All users, by rising id."""
    after = 0
    while page := await usuarios_list.page(services.db, usuarios_list.EVERYONE, after=after, limit=PAGE):
        for user in page:
            yield user
        after = page[-1].id
