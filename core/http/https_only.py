"""Middleware for a service behind a proxy that ends TLS: plain HTTP is not served (RFC 6797)."""

import re
from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from core.http.messages import respond, values
from core.problems import HTTPS_REQUIRED, Problem

SAFE = {"GET", "HEAD"}
HOST = re.compile(r"[\w.:\[\]-]+")
SECURE = (b"strict-transport-security", b"max-age=31536000")


class HttpsOnly:
    """Believes the X-Forwarded-Proto of the nearest proxy; a request without one has not come through it.

    A safe request is sent on to `public_url`, or the same host; another, whose body and token have already gone
    over the wire in the clear, is refused."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self.app = app
        self._public_url = public_url.rstrip("/")

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scheme = b",".join(values(scope, b"x-forwarded-proto")).rpartition(b",")[2].strip().lower()
        if scheme == b"https":
            scope["answer_headers"].append(SECURE)
        elif scheme == b"http":
            return self._turn_away(scope, send)
        return self.app(scope, receive, send)

    async def _turn_away(self, scope: Scope, send: Send) -> None:
        site = self._site(scope)
        if not site or scope["method"] not in SAFE:
            raise Problem(HTTPS_REQUIRED, "Use https: la petición llegó sin cifrar")
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        await respond(send, 308, b"", [(b"location", site.encode() + scope["raw_path"] + query)])

    def _site(self, scope: Scope) -> str:
        if self._public_url.startswith("https://"):
            return self._public_url
        host = b"".join(values(scope, b"host")[:1]).decode("latin-1").removesuffix(":80")
        return f"https://{host}{scope['prefix']}" if HOST.fullmatch(host) else ""
