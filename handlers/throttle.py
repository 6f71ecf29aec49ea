"""Throttling: how many attempts an account and a client address have, whichever process answers."""

import ipaddress
import math
from collections.abc import Sequence

from msgspec import Struct, structs

from core.addresses import spellings
from core.http.messages import Headers, client_address
from core.http.request import Request
from core.problems import THROTTLED, Problem
from sql import intentos, logins
from sql.intentos import AttemptVerdict, Count, Limit, Tried
from sql.usuarios import Credenciales

# docs/accounts.md says why. One account from one address; one account from all who are new to it; one address, for the
# accounts that are new to it.
HERE = Limit(free=20, known=100, first=5, longest=900, forget=900, learns=True, name="login")
ACCOUNT = Limit(free=50, first=1, longest=60, forget=60, strangers=True, name="cuenta")
ADDRESS = Limit(free=150, first=1, longest=300, forget=30, strangers=True, name="direccion")
PASSWORD_CHECKS = Limit(
    free=20, known=20, first=5, longest=900, forget=900, learns=True, name="password_actual"
)
CODES = Limit(free=5, known=20, first=5, longest=900, forget=900, learns=True, name="segundo_factor")
CODES_OF_ACCOUNT = Limit(
    free=20, first=30, longest=900, forget=900, strangers=True, name="segundo_factor_cuenta"
)
REGISTRATIONS = Limit(free=300, first=1, longest=60, forget=2, name="registro")
MAILS = Limit(free=3, first=60, longest=900, forget=900, name="correos")
MAILS_OF_ACCOUNT = structs.replace(MAILS, strangers=True, name="correos_cuenta")
MAILS_FROM_ADDRESS = Limit(free=30, first=1, longest=300, forget=60, strangers=True, name="correos_direccion")
REFUSALS = Limit(free=20, first=5, longest=900, forget=900)


class Attempt(Struct, frozen=True):
    """An attempt that was let through, and counted as failed until it succeeds."""

    request: Request
    tried: Tried

    async def succeeded(self, *names: str) -> None:
        """With `names`, their account is known at the client's address from now on: strangers do not make it wait
        there."""
        await intentos.succeeded(self.request.services.db, self.learnt(*names))

    def learnt(self, *names: str) -> Tried:
        """The counts that a success changes: the attempt's own, and those of an account's `names`."""
        own = {count.clave: count for count in self.tried.counts}
        named = {count.clave: count for count in _named(self.request, names)}
        return Tried([*(named | own).values()], self.tried.witnesses)


async def login(request: Request, name: str) -> tuple[Attempt, Credenciales | None]:
    """Before a password is looked at; with the account of that name, if there is one, found in the same round trip.

    Like the others here, it raises Problem 429 while there is a wait."""
    limits = {
        _login(request, name): HERE,
        f"login of {_lowered(name)}": ACCOUNT,
        f"login from {network(request)}": ADDRESS,
    }
    tried = _tried(request, limits)
    verdict, user = await logins.begin(request.services.db, tried, name)
    return _let_through(request, tried, verdict), user


async def learn(request: Request, *names: str) -> None:
    """The account of these names is known at the client's address from now on: strangers do not make it wait there."""
    await intentos.succeeded(request.db, Tried(_named(request, names), []))


async def password_check(request: Request, *names: str) -> Attempt:
    """Before the caller's `password_actual` is looked at: a stolen session must not guess it, nor keep its owner, who
    is known by `names` where they log in, from changing it."""
    who = request.caller.id
    limits = {
        f"password_actual {network(request)} {who}": PASSWORD_CHECKS,
        f"password_actual of {who}": ACCOUNT,
    }
    return await _attempt(request, limits, *(_login(request, name) for name in names))


async def second_step(request: Request, usuario_id: int) -> Attempt:
    """Before a code is looked at: there are so few that whoever has the password may try few of them, from anywhere."""
    limits = {
        f"code {network(request)} {usuario_id}": CODES,
        f"code of {usuario_id}": CODES_OF_ACCOUNT,
    }
    return await _attempt(request, limits)


async def registration(request: Request) -> None:
    await _attempt(request, {f"register from {network(request)}": REGISTRATIONS})


async def recovery(request: Request, correo: str) -> None:
    """Strangers spend neither what a known address nor what a session of the account may ask for."""
    address, name = network(request), _lowered(correo)
    limits = {
        f"recover {address} {name}": MAILS,
        f"recover of {name}": MAILS_OF_ACCOUNT,
        f"recover from {address}": MAILS_FROM_ADDRESS,
    }
    await _attempt(request, limits, _login(request, correo))


async def own_recovery(request: Request) -> None:
    """The same for a caller whose own correo it is."""
    await _attempt(request, {f"recover by {request.caller.id}": MAILS})


async def records_refusal(request: Request) -> bool:
    """Whether one more refused change of the caller's is recorded: no account fills the audit with them."""
    tried = _tried(request, {f"refused to {request.caller.id}": REFUSALS})
    return not tried.counts or (await intentos.attempt(request.services.db, tried)).wait == 0


async def verification(request: Request, usuario_id: int) -> None:
    address = network(request)
    await _attempt(request, {f"verify of {usuario_id}": MAILS, f"verify from {address}": MAILS_FROM_ADDRESS})


async def _attempt(request: Request, limits: dict[str, Limit], *witnesses: str) -> Attempt:
    tried = _tried(request, limits, *witnesses)
    verdict = await intentos.attempt(request.db, tried) if tried.counts else None
    return _let_through(request, tried, verdict)


def _tried(request: Request, limits: dict[str, Limit], *witnesses: str) -> Tried:
    """What is known by one of `limits` that learns, or by a name of `witnesses`, is no stranger."""
    if request.services.settings.throttle == "off":
        return Tried([], [])
    counts = [Count(_clave(request, what), limit) for what, limit in limits.items()]
    learning = [count.clave for count in counts if count.limit.learns]
    return Tried(counts, learning + [_clave(request, what) for what in witnesses])


def _let_through(request: Request, tried: Tried, verdict: AttemptVerdict | None) -> Attempt:
    if verdict:
        seconds = math.ceil(verdict.wait)
        request.scope["answer_headers"] += _told(tried.counts, verdict)
        if seconds:
            detail = f"Demasiados intentos; espere {seconds} s antes del próximo"
            raise Problem(THROTTLED, detail, headers=[(b"retry-after", b"%d" % seconds)])
    return Attempt(request, tried)


def _named(request: Request, names: Sequence[str]) -> list[Count]:
    """The counts of logins to one account from the client's address, by each of its names."""
    if request.services.settings.throttle == "off":
        return []
    return [Count(_clave(request, _login(request, name)), HERE) for name in names]


def _clave(request: Request, what: str) -> bytes:
    return request.services.keys.sign("intento", what.encode())


def _login(request: Request, name: str) -> str:
    """What is counted of logins to one account from the client's address."""
    return f"login {network(request)} {_lowered(name)}"


def _told(counts: Sequence[Count], verdict: AttemptVerdict) -> Headers:
    """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers): each limit, and the one that leaves least.

    It says the same of a name that has logged in from here before, whose limit is higher: so nobody learns of it."""
    limits = [count.limit for count in counts]
    policies = [f'"{limit.name}";q={limit.free};w={math.ceil(limit.free * limit.forget)}' for limit in limits]
    tightest = next(count.limit for count in counts if count.clave == verdict.clave)
    remaining, reset = 0, verdict.wait
    if not verdict.wait and verdict.made is not None:
        remaining, reset = max(0, math.floor(tightest.free - verdict.made)), verdict.made * tightest.forget
    left = f'"{tightest.name}";r={remaining};t={math.ceil(reset)}'
    return [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", left.encode())]


def _lowered(name: str) -> str:
    """One spelling for all that reach one account: as PostgreSQL's lower() does, letter by letter.

    Python alone would count İris apart from iris, whose account both are to PostgreSQL."""
    return "".join(letter.lower()[0] for letter in spellings(name)[0])


def network(request: Request) -> str:
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
