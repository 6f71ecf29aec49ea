"""The token endpoint (OAuth 2.0, RFC 6749): a password, or a refresh token, becomes an access token."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from core import refresh
from core.endpoint import FORM, Reply, Request, endpoint
from core.problems import (
    BAD_CREDENTIALS,
    BAD_REFRESH,
    BAD_TOKEN_REQUEST,
    NOT_VERIFIED,
    THROTTLED,
    Problem,
    invalid_fields,
)
from core.refresh import RefreshToken
from core.services import Services
from core.tokens import Rol
from handlers import throttle
from handlers.fields import normal
from handlers.sessions import idle_seconds
from sql import auditoria, sesiones, usuarios
from sql.sesiones import Opened
from sql.usuarios import Credenciales

NO_STORE = (b"cache-control", b"no-store")
OFFLINE = "offline_access"
GRACE_SECONDS = 10
IDLE_TIMES = 6  # a session lasts at most so many times what its refresh token may lie unused

Text = Annotated[
    str, Meta(max_length=1000, pattern=r"^[^\x00]*\Z", extra={"mensaje": "un texto de hasta 1000 caracteres"})
]


class TokenRequest(Struct, frozen=True):
    """RFC 6749 sections 4.3.2 and 6, as a form or as JSON; parameters it does not know are ignored (section 3.2)."""

    username: Text = ""
    password: Text = ""
    grant_type: Text = ""
    scope: Text = ""
    refresh_token: Text = ""


class Token(Struct, frozen=True):
    """RFC 6749 section 5.1; the last three are there when the session can be renewed. `expires_in` is in seconds."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind of token, not a secret
    refresh_token: str | UnsetType = UNSET
    expires_in: int | UnsetType = UNSET
    scope: str | UnsetType = UNSET


@endpoint(
    public=True,
    media=[FORM, "application/json"],
    problems=[BAD_CREDENTIALS, BAD_TOKEN_REQUEST, BAD_REFRESH, NOT_VERIFIED, THROTTLED],
)
async def token(request: Request, asked: TokenRequest) -> Reply[Token]:
    """Log in, or renew a session with `grant_type=refresh_token`."""
    if unknown := set(asked.scope.split()) - {OFFLINE}:
        raise _bad_request(f"scope desconocido: {', '.join(sorted(unknown))[:100]}", "invalid_scope")
    match asked.grant_type or "password":
        case "password":
            _require(asked, "username", "password")
            tokens = await _log_in(request, asked)
        case "refresh_token":
            _require(asked, "refresh_token")
            tokens = await _renew(request, asked.refresh_token)
        case _:
            raise _bad_request("grant_type debe ser password o refresh_token", "unsupported_grant_type")
    return Reply(tokens, [NO_STORE])


async def _log_in(request: Request, asked: TokenRequest) -> Token:
    renewable = OFFLINE in asked.scope.split()
    attempt = await throttle.login(request, asked.username)
    user = await _verified(request, asked)
    opened = await _open(request, user, asked.password, renewable=renewable)
    if opened is None:  # another login renewed the hash meanwhile, or the password was changed
        user = await _verified(request, asked)
        opened = await _open(request, user, asked.password, renewable=renewable)
    if opened is None:
        raise await _refused(request, user.id)
    await attempt.succeeded()
    first = RefreshToken(user.id, opened.id, 0) if renewable else None
    return _tokens(request.services, user.id, opened.id, opened.rol, first)


async def _verified(request: Request, asked: TokenRequest) -> Credenciales:
    """Who has this name and password; an unknown name costs the same hash and the same record."""
    services = request.services
    user = await usuarios.credentials(services.db, normal(asked.username))
    matches = await services.passwords.verify(asked.password, user.password if user else None)
    if user is None or not matches:
        raise await _refused(request, user.id if user else None)
    if services.settings.require_verified == "true" and not user.estado:
        await _record_failure(request, user.id, NOT_VERIFIED.codigo)
        detail = "Verifique su correo antes de iniciar sesión"
        raise Problem(NOT_VERIFIED, detail, headers=[NO_STORE], extra={"error": "invalid_grant"})
    return user


async def _open(request: Request, user: Credenciales, password: str, *, renewable: bool) -> Opened | None:
    """A session, if the hash that was verified still is the user's; one of another cost is made anew."""
    services = request.services
    renewed = await services.passwords.hash(password) if services.passwords.outdated(user.password) else None
    return await sesiones.insert(
        services.db,
        user.id,
        request.origin,
        verified=user.password,
        renewed=renewed,
        seconds=IDLE_TIMES * idle_seconds(services) if renewable else services.tokens.seconds,
        renewable=renewable,
        verified_only=services.settings.require_verified == "true",
    )


async def _renew(request: Request, text: str) -> Token:
    services = request.services
    used = refresh.read(services.keys, text)
    if used is None:
        raise _bad_refresh()
    rotation = await sesiones.rotate(
        services.db,
        used.usuario_id,
        used.session,
        used.counter,
        request.origin,
        grace=GRACE_SECONDS,
        idle=idle_seconds(services),
        verified_only=services.settings.require_verified == "true",
    )
    if rotation is None or rotation.verdict == "replayed":
        services.known.forget(used.usuario_id)
        raise _bad_refresh()
    current = RefreshToken(used.usuario_id, used.session, rotation.contador)
    return _tokens(services, used.usuario_id, used.session, rotation.rol, current)


def _tokens(
    services: Services, usuario_id: int, session: int, rol: Rol, current: RefreshToken | None
) -> Token:
    access = services.tokens.issue(usuario_id, session, rol)
    if current is None:
        return Token(access)
    return Token(
        access,
        refresh_token=current.encode(services.keys),
        expires_in=services.tokens.seconds,
        scope=OFFLINE,
    )


def _require(asked: TokenRequest, *names: str) -> None:
    missing = [name for name in names if not getattr(asked, name)]
    if missing:
        problem = invalid_fields([{"campo": name, "mensaje": "es obligatorio"} for name in missing])
        problem.extra["error"] = "invalid_request"
        raise problem


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


def _bad_refresh() -> Problem:
    detail = "El refresh_token no es válido, ya se usó o su sesión terminó: inicie sesión otra vez"
    return Problem(BAD_REFRESH, detail, headers=[NO_STORE], extra={"error": "invalid_grant"})


def _bad_request(detail: str, error: str) -> Problem:
    return Problem(BAD_TOKEN_REQUEST, detail, headers=[NO_STORE], extra={"error": error})
