"""The second step of a login: after the password, a code."""

import logging
import struct
import time
from hashlib import sha256

from msgspec import Struct

from core.auth import totp
from core.auth.refresh import RefreshToken
from core.auth.sealing import Keys
from core.http.request import Request
from core.problems import BAD_CODE, BAD_MFA_TOKEN, MFA_REQUIRED, Problem
from handlers import factor, throttle
from handlers.login_bodies import OFFLINE, CodeGrant, Token, bad_grant, issue
from handlers.login_outcomes import record_failure, refuse_unwelcome, session_seconds, verified_only
from sql import logins_factor
from sql.logins_factor import Challenge

PURPOSE = "mfa"
SECONDS = 600
LAYOUT = struct.Struct(">qq?16s")

log = logging.getLogger("ventas")


class FirstStep(Struct, frozen=True):
    """What an `mfa_token` says: who gave the right password, until when (seconds since 1970) that counts, whether they
    asked for a refresh token, and which password it was."""

    usuario_id: int
    expires: int
    renewable: bool
    fingerprint: bytes

    def encode(self, keys: Keys) -> str:
        return keys.seal(
            PURPOSE, LAYOUT.pack(self.usuario_id, self.expires, self.renewable, self.fingerprint)
        )


def required(request: Request, usuario_id: int, hashed: str, *, renewable: bool) -> Problem:
    """403 for a right password that is not enough; a code with its `mfa_token` is."""
    expires = int(time.time()) + SECONDS
    token = FirstStep(usuario_id, expires, renewable, _fingerprint(hashed)).encode(request.services.keys)
    return Problem(
        MFA_REQUIRED,
        "Falta el código de su segundo factor",
        extra={"error": "mfa_required", "mfa_token": token},
    )


async def finish(request: Request, asked: CodeGrant) -> Token:
    """The session that an `mfa_token` and a code open. Raises Problem: 400, 403, 429."""
    services = request.services
    first = _read(services.keys, asked.mfa_token)
    user = await logins_factor.challenge(services.db, first.usuario_id) if first else None
    if first is None or user is None or first.fingerprint != _fingerprint(user.password):
        raise _bad_token()
    attempt = await throttle.second_step(request, user.id)
    await refuse_unwelcome(request, user.id, bloqueado=user.bloqueado, estado=user.estado)
    renewable = first.renewable or OFFLINE in asked.scope.split()
    step, recovery = _means(request, user, asked.otp)
    opened = None
    if step or recovery:
        opened = await logins_factor.log_in(
            services.db,
            user,
            request.origin,
            paso=step,
            codigo=recovery,
            seconds=session_seconds(services, renewable=renewable),
            renewable=renewable,
            verified_only=verified_only(services),
            notice=services.mail is not None,
        )
    if opened is None:
        await record_failure(request, user.id, BAD_CODE.codigo)
        raise _bad_code()
    await attempt.succeeded(user.username, user.correo)
    if recovery and services.mail:
        services.mail.waiting.set()
    refresh = RefreshToken(user.id, opened.id, 0) if renewable else None
    return issue(services, user.id, opened.id, opened.rol, refresh)


def _means(request: Request, user: Challenge, otp: str) -> tuple[int, bytes | None]:
    """The step whose code this is, or 0; and, if it cannot be one, the hash of the recovery code that it may be."""
    code = factor.plain(otp)
    if not totp.CODE.fullmatch(code):
        return 0, totp.recovery_hash(user.id, code)
    secret = factor.secret_of(request.services, user.id, user.secreto)
    if secret is None:
        log.error("the second factor of user %s was sealed with a JWT_SECRET that is not known", user.id)
        return 0, None
    return totp.step_of(secret, code, now=time.time(), after=user.paso) or 0, None


def _read(keys: Keys, text: str) -> FirstStep | None:
    data = keys.open(PURPOSE, text)
    if data is None:
        return None
    first = FirstStep(*LAYOUT.unpack(data))
    return first if first.expires > time.time() else None


def _fingerprint(hashed: str) -> bytes:
    return sha256(hashed.encode()).digest()[:16]


def _bad_token() -> Problem:
    detail = "El mfa_token no es válido o venció: envíe otra vez usuario y contraseña"
    return bad_grant(BAD_MFA_TOKEN, detail)


def _bad_code() -> Problem:
    detail = "El código no es válido o ya se usó; espere el siguiente"
    return bad_grant(BAD_CODE, detail)
