"""Access tokens: JWT (RFC 7519) signed with HS256."""

import time
from typing import Annotated

import jwt
import msgspec
from msgspec import Meta, Struct

from core.caller import Caller, Rol

ALGORITHM = "HS256"
CLOCK_SKEW_SECONDS = 5
CACHED_TOKENS = 10_000

Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Claims(Struct, frozen=True):
    """What an access token says: whose it is (`sub`), of which session (`sid`), and until when (`exp`)."""

    sub: Id
    sid: Id
    rol: Rol
    iat: int
    exp: int
    nbf: int = 0


class Tokens:
    """Issues and reads access tokens. `previous` is the secret before a change: it only verifies."""

    def __init__(self, secret: str, previous: str = "", minutes: int = 30) -> None:
        self.seconds = minutes * 60
        self._secret = secret
        self._secrets = [key for key in (secret, previous) if key]
        self._read: dict[str, Caller] = {}

    def issue(self, usuario_id: int, session: int, rol: Rol) -> str:
        now = int(time.time())
        claims = {"sub": str(usuario_id), "sid": session, "rol": rol, "iat": now, "exp": now + self.seconds}
        return jwt.encode(claims, self._secret, ALGORITHM)

    def read(self, token: str) -> Caller | None:
        """The token's caller, or None when it is not ours, altered, expired or not yet valid.

        A signature is checked once per token, the expiry every time."""
        caller = self._read.get(token)
        if caller is None:
            caller = self._verify(token)
            if caller is None:
                return None
            if len(self._read) >= CACHED_TOKENS:
                self._read.clear()
            self._read[token] = caller
        return caller if caller.expires > time.time() else None

    def _verify(self, token: str) -> Caller | None:
        for secret in self._secrets:
            try:
                payload = jwt.decode(
                    token, secret, [ALGORITHM], options={"verify_iat": False, "verify_nbf": False}
                )
                claims = msgspec.convert(payload, Claims, strict=False)
            except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError):
                continue
            if max(claims.iat, claims.nbf) <= time.time() + CLOCK_SKEW_SECONDS:
                return Caller(claims.sub, claims.rol, claims.sid, claims.exp)
        return None
