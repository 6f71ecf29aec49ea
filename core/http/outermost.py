"""The outermost middleware: names each request, counts and logs it, and turns every exception into one error shape."""

import asyncio
import itertools
import logging
import math
import re
import secrets
from collections.abc import Awaitable, Collection
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import trace
from core.caller import Caller
from core.http.body_budget import LEAST_BUDGET, BodyBudget
from core.http.error_pages import error_page
from core.http.messages import CLOSE, ClientGone, respond, values
from core.http.oauth import refusal
from core.http.streams import Stream
from core.problems import CRASHED, Problem, stopping

if TYPE_CHECKING:
    from core.process.services import Services

SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
PROBLEM_JSON = ((b"content-type", b"application/problem+json"),)
OAUTH_JSON = ((b"content-type", b"application/json"),)
NOSNIFF = (b"x-content-type-options", b"nosniff")
NO_STORE = (b"cache-control", b"no-store")
LONGEST_PATH = 200
GONE = 499  # no whole answer: the client hung up first
UNSPOKEN = {501, 505}  # what the client speaks is not this HTTP: no failure of ours

log = logging.getLogger("ventas.request")


class Edge:
    """Gives the scope its `request_id`, `header_names`, `bodies` (the budget of all), one spelling of the path
    (without a trailing slash), its `prefix` (the path of PUBLIC_URL, which the proxy may take off a path or leave on
    it), and `answer_headers`: a list of headers that the answer will have, whatever it is.

    Errors of the `oauth` paths are RFC 6749's."""

    def __init__(self, app: ASGIApp, services: "Services", oauth: Collection[str] = ()) -> None:
        settings = services.settings
        self.app = app
        self.services = services
        self._bodies = BodyBudget(max(LEAST_BUDGET, settings.max_body_bytes), settings.db_timeout_seconds)
        self._names = secrets.token_hex(6).encode()
        self._count = itertools.count(1)
        self._oauth = oauth
        self._prefix = settings.prefix
        self._times = settings.server_timing == "on"
        self._logged_status = {"all": 0, "errors": 500, "off": 1000}[settings.log_requests]
        self._logged_seconds = math.inf if settings.log_requests == "off" else settings.log_slow_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._refuse_websocket(scope, receive, send)
            return
        began = perf_counter()
        if "header_names" not in scope:  # another server's connection
            scope["header_names"] = dict(scope["headers"]).keys()
        scope["services"] = self.services
        scope["bodies"] = self._bodies
        scope["database_seconds"] = 0.0
        scope["request_id"] = self._request_id(scope)
        always = scope["answer_headers"] = [(b"x-request-id", scope["request_id"]), NOSNIFF]
        scope["prefix"] = self._prefix
        if self._prefix:
            strip(scope, self._prefix)
        if scope["path"].endswith("/"):
            scope["path"] = scope["path"].rstrip("/") or "/"
        trace.current.set(scope)
        ending = self.services.shutdown
        status = 0
        failure: BaseException | None = None

        def named(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                headers.extend(always)
                if ending.begun:
                    headers.append(CLOSE)
                if self._times:
                    headers.append(server_timing(scope, perf_counter() - began))
            return send(message)

        try:
            await self.app(scope, receive, named)
        except ClientGone:
            status = GONE
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not ending.begun:
                raise
            failure, problem = error, as_problem(error)
            if isinstance(error, Problem):
                # Its frames hold the scope, and the scope's caller may be this very problem.
                error.__traceback__ = None
            if scope["path"] in self._oauth:
                problem = refusal(problem)
                failure = problem if isinstance(error, Problem) else error
            if not status:
                await self._answer(scope, named, problem)
            status = problem.kind.status
            del problem  # it holds this frame, and with it the request's body, as `failure` does
        finally:
            seconds = perf_counter() - began
            route = scope.get("route")
            self.services.requests.add(route.path if route else "", scope["method"], status, seconds)
            if status >= self._logged_status or seconds >= self._logged_seconds or status == CRASHED.status:
                log_request(scope, status, seconds, failure)
            failure = None

    def _request_id(self, scope: Scope) -> bytes:
        for value in values(scope, b"x-request-id"):
            if SANE_REQUEST_ID.fullmatch(value):
                return value
        return b"%b-%x" % (self._names, next(self._count))

    async def _answer(self, scope: Scope, send: Send, problem: Problem) -> None:
        """Problem details or, for a browser that opened the address, a page that says the same."""
        request_id = scope["request_id"].decode()
        page = error_page(scope, problem, request_id, self._prefix)
        media = OAUTH_JSON if scope["path"] in self._oauth else PROBLEM_JSON
        headers = [*(page.headers if page else media), *problem.headers]
        if NO_STORE not in headers:
            headers.append(NO_STORE)
        body = scope.get("body")
        if isinstance(body, Stream) and not body.whole:
            headers.append(CLOSE)  # nobody waits for the rest
        content = page.body if page else problem.body(request_id, self._prefix)
        await respond(send, problem.kind.status, content, headers)

    async def _refuse_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})


def strip(scope: Scope, prefix: str) -> None:
    """Takes the prefix off a path that has it."""
    path, start = scope["path"], unquote(prefix)
    if path == start or path.startswith(f"{start}/"):
        scope["path"] = path[len(start) :] or "/"
        scope["raw_path"] = scope["raw_path"].removeprefix(prefix.encode()) or b"/"


def as_problem(error: BaseException) -> Problem:
    """What the client is told: of a defect of ours only that there is one."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, asyncio.CancelledError):  # by the server, which has no more time
        return stopping()
    return Problem(CRASHED, "Ocurrió un error inesperado; ya quedó registrado")


def server_timing(scope: Scope, seconds: float) -> tuple[bytes, bytes]:
    """https://www.w3.org/TR/server-timing/: milliseconds so far, and of them waited for the database."""
    return b"server-timing", b"total;dur=%.1f, db;dur=%.1f" % (
        1000 * seconds,
        1000 * scope["database_seconds"],
    )


def log_request(scope: Scope, status: int, seconds: float, failure: BaseException | None) -> None:
    """One line, without query string, headers and bodies; with the stack when it is a defect of ours."""
    route, caller = scope.get("route"), scope.get("caller")
    fields: dict[str, object] = {
        "method": scope["method"],
        "route": route.path if route else "",
        "path": scope["path"][:LONGEST_PATH],
        "status": status,
        "ms": round(1000 * seconds, 1),
        "db_ms": round(1000 * scope["database_seconds"], 1),
    }
    if isinstance(caller, Caller):
        fields["user"] = caller.id
    if isinstance(failure, Problem):
        fields["codigo"] = failure.kind.codigo
        if status >= CRASHED.status:
            fields["detail"] = failure.detail
        if cause := failure.__cause__:
            fields["cause"] = type(cause).__name__
            if sqlstate := getattr(cause, "sqlstate", None):
                fields["sqlstate"] = sqlstate
    crash = failure if status == CRASHED.status else None
    failed = status > CRASHED.status and status not in UNSPOKEN
    level = logging.ERROR if crash else logging.WARNING if failed else logging.INFO
    log.log(level, "request", exc_info=crash, extra={"fields": fields})
