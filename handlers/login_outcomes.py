"""How either step of a login ends: with a session, or with a refusal that is recorded."""

from core.http.request import Request
from core.problems import BLOCKED, NOT_VERIFIED, Problem
from core.process.services import Services
from handlers.login_bodies import bad_grant
from handlers.sesiones import idle_seconds
from sql import auditoria

IDLE_TIMES = 6  # a session lasts at most so many times what its refresh token may lie unused


def session_seconds(services: Services, *, renewable: bool) -> int:
    return IDLE_TIMES * idle_seconds(services) if renewable else services.tokens.seconds


def verified_only(services: Services) -> bool:
    return services.settings.require_verified == "true"


async def refuse_unwelcome(request: Request, usuario_id: int, *, bloqueado: bool, estado: bool) -> None:
    """Raises Problem 403 for who is blocked or, where that matters, has no verified correo."""
    if bloqueado:
        await record_failure(request, usuario_id, BLOCKED.codigo)
        raise blocked()
    if verified_only(request.services) and not estado:
        await record_failure(request, usuario_id, NOT_VERIFIED.codigo)
        raise bad_grant(NOT_VERIFIED, "Verifique su correo antes de iniciar sesión")


async def record_failure(request: Request, usuario_id: int | None, motivo: str) -> None:
    db = request.services.db
    await auditoria.record(db, "login_fallido", request.origin, affected=usuario_id, motivo=motivo)


def blocked() -> Problem:
    return bad_grant(BLOCKED, "La cuenta está bloqueada; hable con quien opera el servicio")
