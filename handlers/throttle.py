"""Throttling: how many attempts an account and a client address have, whichever process answers."""

import ipaddress
import math

from msgspec import Struct

from core.http.endpoint import Request
from core.http.messages import client_address
from core.problems import THROTTLED, Problem
from core.process.services import Services
from handlers.fields import normal
from sql import intentos
from sql.intentos import Count, Limit

# docs/accounts.md says why. One account from one address; one account from all who are new to it; one address.
HERE = Limit(free=20, known=100, first=5, longest=900, forget=900, learns=True)
ACCOUNT = Limit(free=50, first=1, longest=60, forget=60, strangers=True)
ADDRESS = Limit(free=150, first=1, longest=300, forget=30)
PASSWORD_CHECKS = Limit(free=20, known=20, first=5, longest=900, forget=900, learns=True)
REGISTRATIONS = Limit(free=300, first=1, longest=60, forget=2)
MAILS = Limit(free=3, first=60, longest=900, forget=900)
MAILS_FROM_ADDRESS = Limit(free=30, first=1, longest=300, forget=60)


class Attempt(Struct, frozen=True):
    """An attempt that was let through, and counted as failed until it succeeds."""

    request: Request
    counts: list[Count]

    async def succeeded(self) -> None:
        if self.counts:
            await intentos.succeeded(self.request.db, self.counts)


async def login(request: Request, name: str) -> Attempt:
    """Before a password is looked at, and before it is known whether there is such an account.

    Like the others here, it raises Problem 429 while there is a wait."""
    name, address = _lowered(name), _address(request)
    limits = {f"login {address} {name}": HERE, f"login of {name}": ACCOUNT, f"login from {address}": ADDRESS}
    return await _attempt(request, limits)


async def password_check(request: Request) -> Attempt:
    """Before the caller's `password_actual` is looked at: a stolen session must not guess it."""
    return await _attempt(request, {f"password_actual of {request.caller.id}": PASSWORD_CHECKS})


async def registration(request: Request) -> None:
    await _attempt(request, {f"register from {_address(request)}": REGISTRATIONS})


async def recovery(request: Request, correo: str) -> None:
    address = _address(request)
    limits = {f"recover of {_lowered(correo)}": MAILS, f"recover from {address}": MAILS_FROM_ADDRESS}
    await _attempt(request, limits)


async def verification(request: Request, usuario_id: int) -> None:
    await _attempt(request, {f"verify of {usuario_id}": MAILS})


async def sweep(services: Services) -> None:
    """Forgets what no limit remembers."""
    while await intentos.sweep(services.db):
        pass


async def _attempt(request: Request, limits: dict[str, Limit]) -> Attempt:
    services = request.services
    if services.settings.throttle == "off":
        return Attempt(request, [])
    counts = [Count(services.keys.sign("intento", what.encode()), limit) for what, limit in limits.items()]
    seconds = math.ceil(await intentos.attempt(request.db, counts))
    if seconds:
        detail = f"Demasiados intentos; espere {seconds} s antes del próximo"
        raise Problem(THROTTLED, detail, headers=[(b"retry-after", b"%d" % seconds)])
    return Attempt(request, counts)


def _lowered(name: str) -> str:
    """One spelling for all that reach one account: as PostgreSQL's lower() does, letter by letter.

    Python alone would count İris apart from iris, whose account both are to PostgreSQL."""
    return "".join(letter.lower()[0] for letter in normal(name))


def _address(request: Request) -> str:
    """The client's address; of IPv6 the /64, which one client has whole."""
    text = client_address(request.scope, request.services.settings.trusted_proxies)
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
