"""The commands `create-admin` and `revoke`: accounts, for the operator."""

import argparse
import asyncio
import getpass
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from commands.errors import CommandError, complain
from core.caller import NOBODY, Origin
from core.http.validation import body_decoder
from core.problems import Problem
from core.process import start
from core.process.services import Services
from handlers.password_rules import check_password
from handlers.usuarios_bodies import NewUser, columns_of
from sql import factores, llaves, sesiones, usuarios, usuarios_change, usuarios_new
from sql.usuarios import Credenciales

Work = Callable[[Services, argparse.Namespace, Credenciales | None, Origin], Awaitable[str]]

ASKED = ("correo", "nombre", "apellido", "telefono")
EXIT_CODES = """
exit codes:
    0  done
    1  failed, and nothing was changed: standard error says why
    2  wrong usage, or something is missing and there is no terminal to ask at
  130  interrupted, and nothing was changed
"""

_decode = body_decoder(NewUser)


def add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Declare the options of `command`, create-admin or revoke."""
    parser.epilog = EXIT_CODES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("username", metavar="USERNAME")
    if command == "revoke":
        parser.description = "End every session and API key of a user, at once and in every process."
        parser.add_argument(
            "--factor",
            action="store_true",
            help="take away the second factor too, from who has lost both the app and the recovery codes",
        )
        return
    parser.description = (
        "Make an admin: a new user, or one that is there already. What is missing is asked for at the terminal; the "
        "password is read without echo or, when standard input is no terminal, from its first line."
    )
    for name in ASKED:
        parser.add_argument(f"--{name}", metavar=name.upper())


def run(command: str, arguments: argparse.Namespace) -> int:
    """Do what `arguments` say; returns the exit code. Raises StartError."""
    work = _create_admin if command == "create-admin" else _revoke
    try:
        print(asyncio.run(_with_services(work, command, arguments)))
    except CommandError as error:
        complain(error)
        return error.code
    except Problem as problem:
        for wrong in _said(problem):
            complain(wrong)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _said(problem: Problem) -> list[str]:
    """What is wrong with each field, or with the whole."""
    return [f"{wrong['campo']}: {wrong['mensaje']}" for wrong in problem.errores or []] or [problem.detail]


async def _with_services(work: Work, command: str, arguments: argparse.Namespace) -> str:
    origin = Origin(NOBODY, "", f"app.py {command}, uid {os.getuid()}", "")
    async with start.services(os.environ) as services:
        user = await usuarios.credentials(services.db, arguments.username)
        return await work(services, arguments, user, origin)


async def _create_admin(
    services: Services, arguments: argparse.Namespace, user: Credenciales | None, origin: Origin
) -> str:
    if user is None:
        return await _insert_admin(services, arguments, origin)
    if user.rol == "admin" and not user.bloqueado:
        return f"{arguments.username} is an admin already: nothing was changed"
    await usuarios_change.update(
        services.db, user.id, {"rol": "admin", "bloqueado": False}, origin, accion="admin_nombrado"
    )
    return f"{arguments.username} was there already, and is an admin now; the password is the one they had"


async def _insert_admin(services: Services, arguments: argparse.Namespace, origin: Origin) -> str:
    fields = {"username": arguments.username}
    _refuse(await _wrong(services, fields))
    for name in ASKED:
        fields[name] = getattr(arguments, name) or _ask(name)
        while (wrong := await _wrong(services, fields)) and not getattr(arguments, name):
            print(wrong, file=sys.stderr)
            fields[name] = _ask(name)
        _refuse(wrong)
    new = _read(fields | {"password": "."})
    columns = columns_of(new)
    password = _ask_password(lambda given: _check_password(services, given, columns))
    columns["password"] = await services.passwords.hash(password, None)
    await usuarios_new.insert(services.db, origin, first_admin=False, rol="admin", estado=True, **columns)
    return f"{columns['username']} is an admin now"


async def _revoke(
    services: Services, arguments: argparse.Namespace, user: Credenciales | None, origin: Origin
) -> str:
    if user is None:
        raise CommandError(f"there is no user {arguments.username}")
    ended = await sesiones.end(services.db, user.id, origin)
    notice = services.mail is not None
    revoked = await llaves.revoke(services.db, user.id, origin, notice=notice, reversible=False)
    said = f"sessions of {arguments.username} that were ended: {ended}; API keys: {revoked}"
    if not arguments.factor:
        return said
    removed = await factores.remove(
        services.db, user.id, origin, verified=None, notice=notice, reversible=False
    )
    return f"{said}; the second factor is gone" if removed else f"{said}; there was no second factor"


async def _wrong(services: Services, fields: dict[str, str]) -> str:
    """What the API would say of the last of `fields`, or that it is taken; or nothing."""
    name = next(reversed(fields))
    try:
        columns = columns_of(_read(NewUser.EXAMPLE | fields))
    except Problem as problem:
        return next((f"{name}: {e['mensaje']}" for e in problem.errores or [] if e["campo"] == name), "")
    if name == "correo" and await usuarios.credentials(services.db, columns[name]):
        return "correo: ya está en uso"
    return ""


def _refuse(wrong: str) -> None:
    if wrong:
        raise CommandError(wrong)


def _read(fields: Mapping[str, object]) -> NewUser:
    new: NewUser = _decode(msgspec.json.encode(fields))
    return new


def _check_password(services: Services, password: str, columns: Mapping[str, str]) -> None:
    """Raises Problem where the API would refuse it."""
    _read(NewUser.EXAMPLE | {"password": password})
    check_password(services.settings, password, columns["username"], columns["correo"])


def _ask(name: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError(f"there is no terminal to ask at: give --{name}", code=2)
    with _interruptible():
        return input(f"{name}: ")


def _ask_password(check: Callable[[str], None]) -> str:
    """What `check` takes without a Problem: asked for until then at a terminal, else the first line."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
        check(password)
        return password
    while True:
        with _interruptible():
            password = getpass.getpass("password: ")
        try:
            check(password)
        except Problem as problem:
            print(*_said(problem), file=sys.stderr)
            continue
        with _interruptible():
            if getpass.getpass("once more: ") == password:
                return password
        print("the two passwords differ", file=sys.stderr)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C end a question at once: asyncio would first wait for the answer."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
