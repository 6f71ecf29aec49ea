"""Middleware for a service behind a proxy that ends TLS: plain HTTP is not served (RFC 6797)."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from core.problems import HTTPS_REQUIRED, Problem
from core.wire import respond

SAFE = {"GET", "HEAD"}
HOST = re.compile(r"[\w.:\[\]-]+")
SECURE = (
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
)


class HttpsOnly:
    """Believes the X-Forwarded-Proto of the nearest proxy; a request without one has not come through it.

    A safe request is sent on to `public_url`, or the same host; another, whose body and token have already gone
    over the wire in the clear, is refused."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self.app = app
        self._public_url = public_url.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        scheme = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
        if scheme == "https":
            scope["answer_headers"] += SECURE
            await self.app(scope, receive, send)
        elif scheme != "http":
            await self.app(scope, receive, send)
        elif scope["method"] in SAFE and (site := self._site(headers)):
            query = b"?" + scope["query_string"] if scope["query_string"] else b""
            await respond(send, 308, b"", [(b"location", site.encode() + scope["raw_path"] + query)])
        else:
            raise Problem(HTTPS_REQUIRED, "Use https: la petición llegó sin cifrar")

    def _site(self, headers: Headers) -> str:
        if self._public_url.startswith("https://"):
            return self._public_url
        host = headers.get("host", "").removesuffix(":80")
        return f"https://{host}" if HOST.fullmatch(host) else ""
