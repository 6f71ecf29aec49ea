"""Middleware for calls from the pages of other origins: CORS, as the Fetch standard has it."""

from collections.abc import Awaitable, Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from core.http.messages import header, values
from core.problems import FOREIGN_PAGE, Problem

ANYONE = "*"
PREFLIGHT_SECONDS = b"600"
EXPOSED = b", ".join(
    [
        b"Allow",
        b"Content-Disposition",
        b"ETag",
        b"Idempotent-Replayed",
        b"Link",
        b"Location",
        b"RateLimit",
        b"RateLimit-Policy",
        b"Retry-After",
        b"WWW-Authenticate",
        b"X-Next-Cursor",
        b"X-Request-ID",
        b"X-Total-Count",
    ]
)


class Cors:
    """Lets the pages of `origins`, or of anyone's, read every answer, errors too, and send what the API takes.

    A preflight of theirs goes on as the OPTIONS that it is, to be answered by the path's own methods
    (scope["preflight"] is the one that the page asks for); that of another origin is refused."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self.app = app
        self._anyone = ANYONE in origins
        self._origins = {origin.encode("latin-1") for origin in origins}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        answer = scope["answer_headers"]
        if not self._anyone:
            answer.append((b"vary", b"Origin"))  # without an Origin too: a cache may ask again with one
        names = scope["header_names"]
        if b"origin" in names:
            origin = header(scope, b"origin") or b""
            allowed = self._anyone or origin in self._origins
            if allowed:
                answer.append((b"access-control-allow-origin", ANYONE.encode() if self._anyone else origin))
                answer.append((b"access-control-expose-headers", EXPOSED))
            if scope["method"] == "OPTIONS" and b"access-control-request-method" in names:
                if not allowed:
                    raise Problem(FOREIGN_PAGE, "Las páginas de este origen no pueden usar la API")
                self._preflight(scope)
        return self.app(scope, receive, send)

    def _preflight(self, scope: Scope) -> None:
        answer = scope["answer_headers"]
        scope["preflight"] = (header(scope, b"access-control-request-method") or b"").decode("latin-1")
        answer.append((b"access-control-max-age", PREFLIGHT_SECONDS))
        if asked := b", ".join(values(scope, b"access-control-request-headers")):
            answer.append((b"access-control-allow-headers", asked))
        if header(scope, b"access-control-request-private-network") == b"true":
            answer.append((b"access-control-allow-private-network", b"true"))
