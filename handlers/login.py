"""The token endpoint (OAuth 2.0, RFC 6749): a password, or a refresh token, becomes an access token."""

from core.auth import refresh
from core.auth.refresh import RefreshToken
from core.http.endpoint import FORM, Reply, Request, endpoint
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
from handlers.login_bodies import NO_STORE, OFFLINE, Token, TokenRequest, bad_request, issue, require
from handlers.sesiones import idle_seconds
from sql import auditoria, sesiones, sesiones_rotation, usuarios
from sql.sesiones import Opened
from sql.usuarios import Credenciales

IDLE_TIMES = 6  # a session lasts at most so many times what its refresh token may lie unused


@endpoint(
    public=True,
    media=[FORM, "application/json"],
    problems=[BAD_CREDENTIALS, BAD_TOKEN_REQUEST, BAD_REFRESH, BLOCKED, NOT_VERIFIED, THROTTLED, CROWDED],
)
async def token(request: Request, asked: TokenRequest) -> Reply[Token]:
    """Log in, or renew a session.

    `username` may be the correo. With `scope=offline_access` a refresh token comes too, which
    `grant_type=refresh_token` turns into the next pair of tokens."""
    if unknown := set(asked.scope.split()) - {OFFLINE}:
        raise bad_request(f"scope desconocido: {', '.join(sorted(unknown))[:100]}", "invalid_scope")
    match asked.grant_type or "password":
        case "password":
            require(asked, "username", "password")
            answer = await _log_in(request, asked)
        case "refresh_token":
            require(asked, "refresh_token")
            answer = await _renew(request, asked.refresh_token)
        case _:
            raise bad_request("grant_type debe ser password o refresh_token", "unsupported_grant_type")
    return Reply(answer, [NO_STORE])


async def _log_in(request: Request, asked: TokenRequest) -> Token:
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


async def _verified(request: Request, asked: TokenRequest) -> tuple[Credenciales, str | None]:
    """Who has this name and password, which is there again if its hash is to be made anew.

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
        detail = "Verifique su correo antes de iniciar sesión"
        raise Problem(NOT_VERIFIED, detail, headers=[NO_STORE], extra={"error": "invalid_grant"})
    return user, asked.password if verdict.outdated else None


async def _open(request: Request, user: Credenciales, renew: str | None, *, renewable: bool) -> Opened | None:
    """A session, if the hash that was verified still is the user's; with `renew`, the password, it is made anew."""
    services = request.services
    renewed = await services.passwords.hash(renew, throttle.network(request)) if renew else None
    return await sesiones.insert(
        services.db,
        user.id,
        request.origin,
        verified=user.password,
        renewed=renewed,
        seconds=IDLE_TIMES * idle_seconds(services) if renewable else services.tokens.seconds,
        renewable=renewable,
        verified_only=_verified_only(services),
    )


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
    challenge = (b"www-authenticate", b"Bearer")
    return Problem(
        BAD_CREDENTIALS,
        "Usuario o contraseña incorrectos",
        headers=[challenge, NO_STORE],
        extra={"error": "invalid_grant"},
    )


async def _record_failure(request: Request, usuario_id: int | None, motivo: str) -> None:
    db = request.services.db
    await auditoria.record(db, "login_fallido", request.origin, affected=usuario_id, motivo=motivo)


def _blocked() -> Problem:
    return Problem(
        BLOCKED,
        "La cuenta está bloqueada; hable con quien opera el servicio",
        headers=[NO_STORE],
        extra={"error": "invalid_grant"},
    )


def _bad_refresh() -> Problem:
    detail = "El refresh_token no es válido, ya se usó o su sesión terminó: inicie sesión otra vez"
    return Problem(BAD_REFRESH, detail, headers=[NO_STORE], extra={"error": "invalid_grant"})
