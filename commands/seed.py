"""The command `seed`: a cast of users and a year of plausible sales, for one's own machine."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from commands.errors import CommandError, complain
from commands.progress import Bar
from core.caller import NOBODY, Origin
from core.files.dialect import Dialect
from core.instants import Dates
from core.problems import ConstraintViolated, Problem
from core.process import start
from core.process.services import Services
from core.process.settings import Settings
from handlers.password_rules import check_password
from sql import usuarios, usuarios_new, ventas_import
from sql.ventas_import import Terms, open_renglones

PASSWORD = "una clave de prueba"  # noqa: S105 - shown to whoever seeds, and refused in production
ADMIN = "ana"
CAST = {
    ADMIN: ("Ana", "Paz"),
    "beto": ("Beto", "Quiroga"),
    "carla": ("Carla", "Funes"),
    "diego": ("Diego", "Sosa"),
    "elena": ("Elena", "Videla"),
    "fabian": ("Fabián", "Núñez"),
    "graciela": ("Graciela", "Ibáñez"),
    "hugo": ("Hugo", "Moyano"),
}
DAYS = 365
WEEKDAYS = (0.9, 0.9, 1.0, 1.0, 1.3, 1.6, 0.3)  # from Monday
MONTHS = (0.8, 0.8, 1.0, 1.0, 1.0, 1.1, 1.1, 1.0, 1.0, 1.1, 1.2, 1.8)  # from January
HOURS = range(9, 21)
COMMON_AMOUNT, SPREAD = 9.4, 0.8  # of a log-normal: half of the products cost less than about 12,000 units
EXIT_CODES = """
exit codes:
    0  done
    1  failed, and no sale was added: standard error says why
    2  wrong usage, or another database was not confirmed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    parser.description = (
        "Add a cast of users and a year of plausible sales, to look at in the panel or to put load on. Ana is admin. "
        "A user who is there already stays unchanged; each run adds its sales."
    )
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--users", type=int, default=len(CAST), metavar="N", help="how many (%(default)s)")
    parser.add_argument("--sales", type=int, default=20_000, metavar="N", help="how many (%(default)s)")
    parser.add_argument(
        "--random", type=int, default=1, metavar="N", help="where chance begins (%(default)s)"
    )
    parser.add_argument("--yes", action="store_true", help="yes, into the database of DATABASE_URL")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do what `arguments` say; returns the exit code. Raises StartError."""
    if settings.production:
        complain("production gets no invented sales")
        return 2
    if settings.database_url and not arguments.yes:
        complain("DATABASE_URL names a database that others may use: add --yes")
        return 2
    if arguments.users < 1 or arguments.sales < 0:
        complain("--users must be 1 or more, --sales 0 or more")
        return 2
    try:
        names, added = asyncio.run(_seed(arguments, settings))
    except (CommandError, Problem) as error:
        complain(error)
        return 1
    print(f"{arguments.sales:,} sales of {len(names)} users added, over a year")
    if added:
        more = " …" if len(added) > len(CAST) else ""
        print(f"new users: {', '.join(added[: len(CAST)])}{more}; their password: {PASSWORD}")
    return 0


async def _seed(arguments: argparse.Namespace, settings: Settings) -> tuple[list[str], list[str]]:
    """The users whose sales were added, and those of them who are new."""
    async with start.services(os.environ) as services:
        owners, added = await _users(services, arguments.users)
        first = max(datetime.now(settings.zone).date() - timedelta(DAYS), settings.sales_from)
        sales = _sales(Random(arguments.random), list(owners.values()), arguments.sales, first, settings)  # noqa: S311
        terms = Terms(None, may_write_others=True, dates=Dates.up_to_now(settings.first_sale, settings.zone))
        with Bar(0) as bar:
            async with services.db.transaction() as tx:
                await ventas_import.load(
                    tx.connection,
                    sales,
                    open_renglones("csv", Dialect()),
                    terms,
                    progress=lambda rows: bar.show(rows, rows),
                )
    return list(owners), added


async def _users(services: Services, count: int) -> tuple[dict[str, int], list[str]]:
    """Each user's id by name, and the names of those that were made now."""
    check_password(services.settings, PASSWORD, "", "")
    hashed = await services.passwords.hash(PASSWORD, None)
    origin = Origin(NOBODY, "", f"app.py seed, uid {os.getuid()}", "")
    names = [*CAST, *(f"vendedor{number}" for number in range(len(CAST) + 1, count + 1))][:count]
    found, added = dict[str, int](), []
    for name in names:
        if known := await usuarios.credentials(services.db, name):
            found[name] = known.id
            continue
        nombre, apellido = CAST.get(name, (name.capitalize(), "Prueba"))
        try:
            made = await usuarios_new.insert(
                services.db,
                origin,
                first_admin=False,
                rol="admin" if name == ADMIN else "usuario",
                estado=True,
                username=name,
                password=hashed,
                nombre=nombre,
                apellido=apellido,
                direccion=None,
                telefono="2604538424",
                correo=f"{name}@example.com",
            )
        except ConstraintViolated:
            raise CommandError(f"{name}@example.com is another user's correo") from None
        found[name] = made.id
        added.append(name)
    return found, added


async def _sales(
    chance: Random, owners: list[int], count: int, first: date, settings: Settings
) -> AsyncIterator[bytes]:
    """A CSV of so many sales, oldest first, a chunk per day: more on Saturdays and in December, none at night."""
    yield b"usuario_id,venta,ventas_productos,creacion\n"
    days = [first + timedelta(number) for number in range(DAYS)]
    weights = [WEEKDAYS[day.weekday()] * MONTHS[day.month - 1] for day in days]
    sold = chance.choices(range(DAYS), weights, k=count)
    per_day = [0] * DAYS
    for number in sold:
        per_day[number] += 1
    shares = [chance.paretovariate(1.5) for _ in owners]
    for day, number in zip(days, per_day, strict=True):
        moments = sorted(_moments(chance, day, number, settings))
        sellers = chance.choices(owners, shares, k=number)
        yield "".join(
            f"{owner},{_amount(chance, products := chance.choices((1, 2, 3, 4, 6, 12), (50, 22, 12, 8, 5, 3))[0])},"
            f"{products},{moment:%Y-%m-%dT%H:%M:%SZ}\n"
            for owner, moment in zip(sellers, moments, strict=True)
        ).encode()


def _moments(chance: Random, day: date, count: int, settings: Settings) -> Iterator[datetime]:
    for _ in range(count):
        at = time(chance.choice(HOURS), chance.randrange(60), chance.randrange(60), tzinfo=settings.zone)
        yield datetime.combine(day, at).astimezone(UTC)


def _amount(chance: Random, products: int) -> int:
    """Cents: prices end in 0 units."""
    return products * max(1, round(chance.lognormvariate(COMMON_AMOUNT, SPREAD) / 10)) * 1000
