"""Middleware that verifies bearer tokens (RFC 6750) and puts the caller on the request."""

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from core.problems import BAD_TOKEN, FORBIDDEN, NO_TOKEN, Problem
from core.revocation import Revocations
from core.tokens import Caller, Tokens

# Tells whether the caller's session still stands: the caller with today's rol, or None.
Check = Callable[[Caller], Awaitable[Caller | None]]


class BearerAuth:
    """Sets scope["caller"] to the Caller, or to the Problem that a protected endpoint answers.

    Whether the caller's session stands is known without a query; while that knowledge may be stale, `check` asks
    the database."""

    def __init__(self, app: ASGIApp, tokens: Tokens, revocations: Revocations, check: Check) -> None:
        self.app = app
        self._tokens = tokens
        self._revocations = revocations
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["caller"] = await self._caller(scope)
        await self.app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller | Problem:
        values = [value for name, value in scope["headers"] if name == b"authorization"]
        if not values:
            return no_token()
        scheme, _, token = values[0].partition(b" ")
        if scheme.lower() != b"bearer" or len(values) > 1:
            return no_token()
        caller = self._tokens.read(token.strip().decode("latin-1"))
        if caller is None:
            return bad_token()
        if self._revocations.live:
            return self._revocations.judge(caller) or bad_token()
        try:
            return await self._check(caller) or bad_token()
        except Problem as problem:
            return problem


def no_token() -> Problem:
    detail = "Envíe un token en la cabecera Authorization: Bearer"
    return Problem(NO_TOKEN, detail, headers=[(b"www-authenticate", b"Bearer")])


def bad_token() -> Problem:
    challenge = b'Bearer error="invalid_token"'
    return Problem(BAD_TOKEN, "El token no es válido o ya venció", headers=[(b"www-authenticate", challenge)])


def forbidden() -> Problem:
    return Problem(FORBIDDEN, "No tiene permiso para hacer esto")
