"""The outermost middleware: names each request, logs it, and turns every exception into one error shape."""

import itertools
import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.problems import CRASHED, Problem
from core.services import Services
from core.streams import Stream
from core.wire import CLOSE, ClientGone, respond

SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

log = logging.getLogger("ventas.request")


class Edge:
    """Gives the scope its `request_id` and one spelling of the path (without a trailing slash)."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.services = services
        self._prefix = secrets.token_hex(6)
        self._count = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._refuse_websocket(scope, receive, send)
            return
        began = time.perf_counter()
        scope["services"] = self.services
        request_id = scope["request_id"] = self._request_id(scope)
        if len(scope["path"]) > 1:
            scope["path"] = scope["path"].rstrip("/") or "/"
        status = 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-request-id", request_id))
            await send(message)

        try:
            await self.app(scope, receive, named)
        except ClientGone:
            log.debug("client gone", extra={"request": scope})
        except Exception as error:
            if status:
                log.exception("broke off", extra={"request": scope})
                raise
            await self._answer(scope, named, error)
        finally:
            log.debug(
                "%s %s %s %.1f ms",
                scope["method"],
                scope["path"],
                status,
                1000 * (time.perf_counter() - began),
            )

    def _request_id(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and SANE_REQUEST_ID.fullmatch(value):
                sane: bytes = value
                return sane
        return f"{self._prefix}-{next(self._count):x}".encode()

    async def _answer(self, scope: Scope, send: Send, error: Exception) -> None:
        if not isinstance(error, Problem):
            log.error("unexpected", exc_info=error)
            error = Problem(CRASHED, "Ocurrió un error inesperado; ya quedó registrado")
        headers = [(b"content-type", b"application/problem+json"), *error.headers]
        body = scope.get("body")
        if isinstance(body, Stream) and not body.whole:
            headers.append(CLOSE)  # nobody waits for the rest
        await respond(send, error.kind.status, error.body(scope["request_id"].decode()), headers)

    async def _refuse_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
