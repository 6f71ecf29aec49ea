"""The token endpoint (OAuth 2.0, RFC 6749): a password, a code or a refresh token becomes an access token."""

from core.auth import refresh
from core.auth.refresh import RefreshToken
from core.http.endpoint import endpoint
from core.http.forms import FORM
from core.http.request import Request
from core.problems import (
    BAD_CODE,
    BAD_CREDENTIALS,
    BAD_MFA_TOKEN,
    BAD_REFRESH,
    BAD_TOKEN_REQUEST,
    BLOCKED,
    CROWDED,
    MFA_REQUIRED,
    NOT_VERIFIED,
    THROTTLED,
    Problem,
)
from handlers import second_step, throttle
from handlers.login_bodies import (
    OFFLINE,
    CodeGrant,
    PasswordGrant,
    RefreshGrant,
    Token,
    bad_grant,
    check_scope,
    issue,
)
from handlers.login_outcomes import (
    blocked,
    record_failure,
    refuse_unwelcome,
    session_seconds,
    verified_only,
)
from handlers.sesiones import idle_seconds
from handlers.throttle import Attempt
from sql import logins, sesiones_rotation, usuarios
from sql.logins import Opened
from sql.usuarios import Credenciales


@endpoint(
    public=True,
    oauth=True,
    any_query=True,
    media=["application/json", FORM],
    problems=[
        BAD_CREDENTIALS,
        BAD_TOKEN_REQUEST,
        BAD_REFRESH,
        BAD_MFA_TOKEN,
        BAD_CODE,
        BLOCKED,
        NOT_VERIFIED,
        MFA_REQUIRED,
        THROTTLED,
        CROWDED,
    ],
)
async def token(request: Request, asked: PasswordGrant | RefreshGrant | CodeGrant) -> Token:
    """Log in, or renew a session.

    `username` may be the correo. With `scope=offline_access` a refresh token comes too, which
    `grant_type=refresh_token` turns into the next pair of tokens. Who has a second factor is answered 403 with
    `error: "mfa_required"` and an `mfa_token`, good for ten minutes; with it, and a code of the app or a recovery
    code in `otp`, the second step logs in. Parameters that it does not know are ignored."""
    check_scope(asked.scope)
    if isinstance(asked, RefreshGrant):
        return await _renew(request, asked.refresh_token)
    if isinstance(asked, CodeGrant):
        return await second_step.finish(request, asked)
    return await _log_in(request, asked)


async def _log_in(request: Request, asked: PasswordGrant) -> Token:
    """A round trip before the password is checked, and one after."""
    renewable = OFFLINE in asked.scope.split()
    attempt, found = await throttle.login(request, asked.username)
    user, renew = await _verified(request, asked, found)
    opened = await _open(request, user, renew, attempt, renewable=renewable)
    if opened is None:  # another login renewed the hash meanwhile, or the password was changed
        found = await usuarios.credentials(request.services.db, asked.username)
        user, renew = await _verified(request, asked, found)
        opened = await _open(request, user, renew, attempt, renewable=renewable)
    if opened is None:
        raise await _refused(request, user.id)
    first = RefreshToken(user.id, opened.id, 0) if renewable else None
    return issue(request.services, user.id, opened.id, opened.rol, first)


async def _verified(
    request: Request, asked: PasswordGrant, user: Credenciales | None
) -> tuple[Credenciales, str | None]:
    """The user, if the password is theirs; the password too, where its hash is to be made anew.

    An unknown name costs the same hash and the same record."""
    hashed = user.password if user else None
    verdict = await request.services.passwords.verify(asked.password, hashed, throttle.network(request))
    if user is None or not verdict:
        raise await _refused(request, user.id if user else None)
    await refuse_unwelcome(request, user.id, bloqueado=user.bloqueado, estado=user.estado)
    return user, asked.password if verdict.outdated else None


async def _open(
    request: Request, user: Credenciales, renew: str | None, attempt: Attempt, *, renewable: bool
) -> Opened | None:
    """A session, if the hash that was verified still is the user's; with `renew`, the password, it is made anew.

    Raises Problem 403 when the user has a second factor: then the password alone opens none."""
    services = request.services
    renewed = await services.passwords.hash(renew, throttle.network(request)) if renew else None
    if user.segundo_factor:
        kept = user.password
        if renewed and await usuarios.renew(services.db, user.id, verified=kept, renewed=renewed):
            kept = renewed
        raise second_step.required(request, user.id, kept, renewable=renewable)
    opened = await logins.insert(
        services.db,
        user.id,
        request.origin,
        verified=user.password,
        seconds=session_seconds(services, renewable=renewable),
        renewable=renewable,
        verified_only=verified_only(services),
        tried=attempt.learnt(user.username, user.correo),
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
        verified_only=verified_only(services),
    )
    if rotation is not None and rotation.verdict == "blocked":
        raise blocked()
    if rotation is None or rotation.verdict == "replayed":
        services.known.forget(used.usuario_id)
        raise _bad_refresh()
    current = RefreshToken(used.usuario_id, used.session, rotation.contador)
    return issue(services, used.usuario_id, used.session, rotation.rol, current)


async def _refused(request: Request, usuario_id: int | None) -> Problem:
    await record_failure(request, usuario_id, BAD_CREDENTIALS.codigo)
    return bad_grant(BAD_CREDENTIALS, "Usuario o contraseña incorrectos")


def _bad_refresh() -> Problem:
    detail = "El refresh_token no es válido, ya se usó o su sesión terminó: inicie sesión otra vez"
    return bad_grant(BAD_REFRESH, detail)
