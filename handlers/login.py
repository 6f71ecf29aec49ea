"""The token endpoint (OAuth 2.0, RFC 6749): a password, or a refresh token, becomes an access token."""

from core.auth import refresh
from core.auth.refresh import RefreshToken
from core.http.endpoint import Request, endpoint
from core.http.forms import FORM
from core.problems import (
    BAD_CREDENTIALS,
    BAD_REFRESH,
    BAD_TOKEN_REQUEST,
    BLOCKED,
    CROWDED,
    NOT_VERIFIED,
    THROTTLED,
    Problem,
)
from core.process.services import Services
from handlers import throttle
from handlers.login_bodies import OFFLINE, PasswordGrant, RefreshGrant, Token, bad_grant, check_scope, issue
from handlers.sesiones import idle_seconds
from sql import auditoria, sesiones, sesiones_rotation, usuarios
from sql.sesiones import Opened
from sql.usuarios import Credenciales

IDLE_TIMES = 6  # a session lasts at most so many times what its refresh token may lie unused


@endpoint(
    public=True,
    oauth=True,
    any_query=True,
    media=["application/json", FORM],
    problems=[BAD_CREDENTIALS, BAD_TOKEN_REQUEST, BAD_REFRESH, BLOCKED, NOT_VERIFIED, THROTTLED, CROWDED],
)
async def token(request: Request, asked: PasswordGrant | RefreshGrant) -> Token:
    """Log in, or renew a session.

    `username` may be the correo. With `scope=offline_access` a refresh token comes too, which
    `grant_type=refresh_token` turns into the next pair of tokens. Parameters that it does not know are ignored."""
    check_scope(asked.scope)
    if isinstance(asked, RefreshGrant):
        return await _renew(request, asked.refresh_token)
    return await _log_in(request, asked)


async def _log_in(request: Request, asked: PasswordGrant) -> Token:
    renewable = OFFLINE in asked.scope.split()
    attempt = await throttle.login(request, asked.username)
    user, renew = await _verified(request, asked)
    opened = await _open(request, user, renew, renewable=renewable)
    if opened is None:  # another login renewed the hash meanwhile, or the password was changed
        user, renew = await _verified(request, asked)
        opened = await _open(request, user, renew, renewable=renewable)
    if opened is None:
        raise await _refused(request, user.id)
    await attempt.succeeded()
    await throttle.learn(request, user.username, user.correo)
    first = RefreshToken(user.id, opened.id, 0) if renewable else None
    return issue(request.services, user.id, opened.id, opened.rol, first)


async def _verified(request: Request, asked: PasswordGrant) -> tuple[Credenciales, str | None]:
    """The user with this name and password; the password too, where its hash is to be made anew.

    An unknown name costs the same hash and the same record."""
    services = request.services
    user = await usuarios.credentials(services.db, asked.username)
    hashed = user.password if user else None
    verdict = await services.passwords.verify(asked.password, hashed, throttle.network(request))
    if user is None or not verdict:
        raise await _refused(request, user.id if user else None)
    if user.bloqueado:
        await _record_failure(request, user.id, BLOCKED.codigo)
        raise _blocked()
    if _verified_only(services) and not user.estado:
        await _record_failure(request, user.id, NOT_VERIFIED.codigo)
        raise bad_grant(NOT_VERIFIED, "Verifique su correo antes de iniciar sesión")
    return user, asked.password if verdict.outdated else None


async def _open(request: Request, user: Credenciales, renew: str | None, *, renewable: bool) -> Opened | None:
    """A session, if the hash that was verified still is the user's; with `renew`, the password, it is made anew."""
    services = request.services
    renewed = await services.passwords.hash(renew, throttle.network(request)) if renew else None
    opened = await sesiones.insert(
        services.db,
        user.id,
        request.origin,
        verified=user.password,
        seconds=IDLE_TIMES * idle_seconds(services) if renewable else services.tokens.seconds,
        renewable=renewable,
        verified_only=_verified_only(services),
    )
    if opened and renewed:
        await usuarios.renew(services.db, user.id, verified=user.password, renewed=renewed)
    return opened


async def _renew(request: Request, text: str) -> Token:
    services = request.services
    used = refresh.read(services.keys, text)
    if used is None:
        raise _bad_refresh()
    rotation = await sesiones_rotation.rotate(
        services.db,
        used,
        request.origin,
        idle=idle_seconds(services),
        verified_only=_verified_only(services),
    )
    if rotation is not None and rotation.verdict == "blocked":
        raise _blocked()
    if rotation is None or rotation.verdict == "replayed":
        services.known.forget(used.usuario_id)
        raise _bad_refresh()
    current = RefreshToken(used.usuario_id, used.session, rotation.contador)
    return issue(services, used.usuario_id, used.session, rotation.rol, current)


def _verified_only(services: Services) -> bool:
    return services.settings.require_verified == "true"


async def _refused(request: Request, usuario_id: int | None) -> Problem:
    await _record_failure(request, usuario_id, BAD_CREDENTIALS.codigo)
    return bad_grant(BAD_CREDENTIALS, "Usuario o contraseña incorrectos")


async def _record_failure(request: Request, usuario_id: int | None, motivo: str) -> None:
    db = request.services.db
    await auditoria.record(db, "login_fallido", request.origin, affected=usuario_id, motivo=motivo)


def _blocked() -> Problem:
    return bad_grant(BLOCKED, "La cuenta está bloqueada; hable con quien opera el servicio")


def _bad_refresh() -> Problem:
    detail = "El refresh_token no es válido, ya se usó o su sesión terminó: inicie sesión otra vez"
    return bad_grant(BAD_REFRESH, detail)
