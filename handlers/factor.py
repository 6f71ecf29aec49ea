"""Second factor: a code of an authenticator app, beside the password."""

import io
import time
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any, ClassVar

import segno
from msgspec import Meta, Struct

from core.auth import totp
from core.auth.vault import of_factor
from core.http.answers import Answered
from core.http.endpoint import endpoint
from core.http.request import Request, shown_id
from core.http.validation import Body
from core.instants import Instant
from core.problems import (
    BAD_CODE,
    CROWDED,
    FACTOR_ACTIVE,
    FORBIDDEN,
    NO_FACTOR,
    THROTTLED,
    WRONG_PASSWORD,
    Problem,
    bad_token,
)
from core.process.services import Services
from handlers import throttle
from handlers.idempotency import once
from handlers.own_password import OwnPassword, confirmed, with_password
from sql import factores, usuarios_change

ISSUER = "Ventas"
REMOVED = Answered("Segundo factor quitado correctamente")
CONFIRMED = "Segundo factor activado correctamente"

Codigo = Annotated[
    str,
    Meta(
        max_length=20,
        pattern=r"^\s*([0-9]\s*){6}\Z",
        extra={"mensaje": "los 6 números que muestra la aplicación"},
        examples=["123456"],
    ),
]


class Factor(Struct, frozen=True):
    """One's second factor: whether there is one, since when, and how many recovery codes are left.

    `requerido` says that without it one cannot act as an admin."""

    activo: bool
    desde: Instant | None
    codigos_restantes: int
    requerido: bool


class Enrolment(Struct, frozen=True):
    """What an authenticator app takes: the secret in base32, the address with it, and that as a QR code in SVG."""

    secreto: str
    uri: str
    qr: str


class Confirmation(Body, frozen=True):
    EXAMPLE: ClassVar = {"codigo": "123456"}

    codigo: Codigo


class RecoveryCodes(Struct, frozen=True):
    """Ten codes that do, once each, for who has lost the app; they are not shown again."""

    respuesta: str
    codigos: list[str]


@endpoint()
async def show(request: Request) -> Factor:
    """Read whether one has a second factor."""
    state = await factores.state(request.db, request.caller.id)
    if state is None:
        raise bad_token()
    required = request.services.settings.require_factor == "admins" and state.rol == "admin"
    return Factor(state.activo, state.desde, state.codigos_restantes, required)


@endpoint(problems=[WRONG_PASSWORD, FACTOR_ACTIVE, THROTTLED, CROWDED], secret=True)
@with_password
@once
async def begin(request: Request, sent: OwnPassword) -> Enrolment:
    """Set up a second factor.

    A login needs it once `POST /user/me/factor/confirmar` has seen a first code, within an hour."""
    owner, vault = confirmed(request), request.services.vault
    secret = totp.new_secret()
    sealed = vault.seal(of_factor(owner.id), secret)
    if not await factores.begin(request.db, owner.id, sealed, vault.sello, verified=owner.password):
        raise Problem(FACTOR_ACTIVE, "Ya tiene un segundo factor: quítelo antes de configurar otro")
    uri = totp.uri(secret, issuer=ISSUER, account=owner.username)
    return Enrolment(totp.shown(secret), uri, _drawn(uri))


def _counted(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Counts a code as an attempt until it is right. It comes before `once`, whose transaction would undo the count."""

    @wraps(handler)
    async def counted(request: Request, **arguments: Any) -> Any:
        attempt = await throttle.second_step(request, request.caller.id)
        answer = await handler(request, **arguments)
        await attempt.succeeded()
        return answer

    return counted


@endpoint(
    problems=[BAD_CODE, NO_FACTOR, THROTTLED],
    secret=True,
    example=RecoveryCodes(CONFIRMED, ["oqab-leny-m5tp-3kz6"]),
)
@_counted
@once
async def confirm(request: Request, sent: Confirmation) -> RecoveryCodes:
    """Confirm the second factor with a code of the app.

    From then on each login needs one. It ends one's other sessions, and answers with ten recovery codes."""
    services, id = request.services, request.caller.id
    sealed = await factores.waiting(request.db, id)
    secret = sealed and services.vault.open(of_factor(id), sealed)
    if not sealed or not secret:
        raise _none_waiting()
    step = totp.step_of(secret, plain(sent.codigo), now=time.time(), after=0)
    if step is None:
        raise bad_code()
    codes = totp.new_recovery_codes()
    async with request.db.transaction() as tx:
        await usuarios_change.lock(tx, id)
        done = await factores.confirm(
            tx,
            id,
            request.origin,
            secreto=sealed,
            paso=step,
            codigos=[totp.recovery_hash(id, code) for code in codes],
            keep=request.caller.session,
            notice=services.mail is not None,
        )
    if not done:
        raise _none_waiting()
    _told(services, id)
    return RecoveryCodes(CONFIRMED, codes)


@endpoint(problems=[WRONG_PASSWORD, NO_FACTOR, THROTTLED, CROWDED], example=REMOVED)
@with_password
async def remove(request: Request, sent: OwnPassword) -> Answered:
    """Take away one's second factor.

    From then on a password is enough."""
    services, owner = request.services, confirmed(request)
    removed = await factores.remove(
        request.db,
        owner.id,
        request.origin,
        verified=owner.password,
        notice=services.mail is not None,
        reversible=True,
    )
    if not removed:
        raise Problem(NO_FACTOR, "No tiene un segundo factor")
    _told(services, owner.id)
    return REMOVED


@endpoint(admin=True, problems=[WRONG_PASSWORD, NO_FACTOR, FORBIDDEN, THROTTLED, CROWDED], example=REMOVED)
@with_password
async def remove_of(request: Request, id: int, sent: OwnPassword) -> Answered:
    """Take away a user's second factor.

    For who has lost their phone and their recovery codes; `password_actual` is the admin's own."""
    services = request.services
    removed = await factores.remove(
        request.db,
        id,
        request.origin,
        verified=None,
        notice=services.mail is not None,
        reversible=id == request.caller.id,
    )
    if not removed:
        raise Problem(NO_FACTOR, f"El usuario con el id {shown_id(request)} no tiene un segundo factor")
    _told(services, id)
    return REMOVED


def secret_of(services: Services, usuario_id: int, sealed: bytes) -> bytes | None:
    """The secret of a user's factor; None when the server's secrets are others than those that sealed it."""
    return services.vault.open(of_factor(usuario_id), sealed)


def plain(code: str) -> str:
    """A code without the spaces that apps show in it."""
    return "".join(code.split())


def bad_code() -> Problem:
    return Problem(BAD_CODE, "El código no es válido o ya se usó; espere el siguiente")


def _none_waiting() -> Problem:
    return Problem(NO_FACTOR, "No hay un segundo factor que espere su código: configúrelo otra vez")


def _told(services: Services, usuario_id: int) -> None:
    services.known.forget(usuario_id)
    if services.mail:
        services.mail.waiting.set()


def _drawn(uri: str) -> str:
    """A QR code (ISO/IEC 18004) as SVG, dark on light whatever the page's colours are."""
    out = io.BytesIO()
    segno.make_qr(uri, error="m").save(
        out,
        kind="svg",
        xmldecl=False,
        omitsize=True,
        dark="#000",
        light="#fff",
        svgclass=None,
        lineclass=None,
    )
    return out.getvalue().decode().strip()
