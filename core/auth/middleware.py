"""Middleware that verifies bearer tokens (RFC 6750) and puts the caller on the request."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from core.auth.revocation import Ask, KnownSessions
from core.auth.tokens import Tokens
from core.caller import Caller
from core.http.messages import values
from core.problems import Problem, bad_token, no_token


class BearerAuth:
    """Sets scope["caller"] to the Caller, or to the Problem that a protected endpoint answers.

    `ask` asks the database about a session of which nothing is known."""

    def __init__(self, app: ASGIApp, tokens: Tokens, known: KnownSessions, ask: Ask) -> None:
        self.app = app
        self._tokens = tokens
        self._known = known
        self._ask = ask

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        caller = self._caller(scope)
        if isinstance(caller, Caller):
            known = self._known.recall(caller)
            if known is None:
                return self._check(caller, scope, receive, send)
            caller = known
        scope["caller"] = caller
        return self.app(scope, receive, send)

    def _caller(self, scope: Scope) -> Caller | Problem:
        said = values(scope, b"authorization")
        if not said:
            return no_token()
        scheme, _, token = said[0].partition(b" ")
        if scheme.lower() != b"bearer" or len(said) > 1:
            return no_token()
        return self._tokens.read(token.strip().decode("latin-1")) or bad_token()

    async def _check(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["caller"] = await self._known.check(caller, self._ask) or bad_token()
        except Problem as problem:
            scope["caller"] = problem
        await self.app(scope, receive, send)
