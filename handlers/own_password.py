"""`password_actual`: a session alone is not enough to change what opens the account."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from core.http.request import Request
from core.http.standing import look_again
from core.http.validation import Body
from core.problems import WRONG_PASSWORD, Problem, bad_token
from handlers import throttle
from handlers.fields import Password
from sql import auditoria, usuarios
from sql.usuarios import Credenciales

Handler = Callable[..., Awaitable[Any]]


class OwnPassword(Body, frozen=True):
    """The caller's own password, which is asked for again."""

    EXAMPLE: ClassVar = {"password_actual": "una frase larga"}

    password_actual: Password


def with_password(handler: Handler) -> Handler:
    """Looks at the `password_actual` of the body first; then `confirmed(request)` is the caller.

    It comes before `once`, whose transaction would undo the count of a wrong one."""

    @wraps(handler)
    async def checked(request: Request, **arguments: Any) -> Any:
        body = next(value for value in arguments.values() if isinstance(value, OwnPassword))
        owner = await usuarios.credentials_by_id(request.db, request.caller.id)
        if owner is None:
            raise bad_token()
        await verified(request, owner, body.password_actual)
        request.scope["confirmed"] = owner
        return await handler(request, **arguments)

    return checked


def confirmed(request: Request) -> Credenciales:
    """The caller, whose password was verified a moment ago."""
    owner: Credenciales = request.scope["confirmed"]
    return owner


async def verified(request: Request, known: Credenciales, stated: str | UnsetType) -> str:
    """The caller's hash, which `stated` was verified against. Raises Problem: 403, and 401 when the session ended while
    the hash waited for its turn."""
    if stated is not UNSET:
        attempt = await throttle.password_check(request, known.username, known.correo)
        address = throttle.network(request)
        if await request.services.passwords.verify(stated, known.password, address):
            await attempt.succeeded()
            await look_again(request.scope)
            return known.password
    await record_refusal(request, known.id, ["password_actual"])
    raise wrong_password()


def wrong_password() -> Problem:
    return Problem(WRONG_PASSWORD, "password_actual falta o no es la contraseña actual")


async def record_refusal(request: Request, id: int, fields: list[str]) -> None:
    if await throttle.records_refusal(request):
        db = request.services.db
        await auditoria.record(db, "cambio_rechazado", request.origin, affected=id or None, campos=fields)
