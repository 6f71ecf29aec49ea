"""Middleware that verifies bearer tokens (RFC 6750) and puts the caller on the request."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from core.auth.api_keys import PREFIX, ApiKeys
from core.auth.revocation import Ask, KnownSessions
from core.auth.tokens import Tokens
from core.caller import Caller
from core.http.messages import values
from core.problems import Problem, bad_token, forbidden, no_token


class BearerAuth:
    """Sets scope["caller"] to the Caller, or to the Problem that a protected endpoint answers; and
    scope["look_again"], which asks the database again about the caller's session.

    `ask` asks the database about a session or an API key of which nothing is known."""

    def __init__(self, app: ASGIApp, tokens: Tokens, keys: ApiKeys, known: KnownSessions, ask: Ask) -> None:
        self.app = app
        self._tokens = tokens
        self._keys = keys
        self._known = known
        self._ask = ask
        self._look_again = self.look_again  # bound once, for all requests

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        caller = self._caller(scope)
        if isinstance(caller, Caller):
            known = self._known.recall(caller)
            if known is None:
                return self._check(caller, scope, receive, send)
            caller = known
        scope["caller"] = caller
        scope["look_again"] = self._look_again
        return self.app(scope, receive, send)

    async def look_again(self, scope: Scope) -> None:
        """Raises Problem: 401 when the caller's session or key has ended since, 403 when they are an admin no more."""
        caller: Caller = scope["caller"]
        now = self._known.recall(caller) or await self._known.check(caller, self._ask)
        if now is None:
            raise bad_token()
        if caller.admin and not now.admin:
            raise forbidden()

    def _caller(self, scope: Scope) -> Caller | Problem:
        said = values(scope, b"authorization")
        if not said:
            return no_token()
        scheme, _, token = said[0].partition(b" ")
        if scheme.lower() != b"bearer" or len(said) > 1:
            return no_token()
        text = token.strip().decode("latin-1")
        if text.startswith(PREFIX):
            return self._keys.read(text) or bad_token()
        return self._tokens.read(text) or bad_token()

    async def _check(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            scope["caller"] = await self._known.check(caller, self._ask) or bad_token()
        except Problem as problem:
            scope["caller"] = problem
        scope["look_again"] = self._look_again
        await self.app(scope, receive, send)
