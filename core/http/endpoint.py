"""One declaration per endpoint: decoding, checks, the answer and its description follow from it."""

import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, get_args, get_origin, get_type_hints

from msgspec import Struct
from python_multipart.multipart import parse_options_header
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.http import codings
from core.http.answers import Answer, Created, Reply, encode
from core.http.forms import FORM_DATA, FormFile
from core.http.messages import (
    Headers,
    check_media,
    client_address,
    header,
    read_body,
    respond,
    wrong_media,
)
from core.http.oauth import NO_CACHE, decode_parameters
from core.http.request import Request, path_id
from core.http.rows import rows_decoder
from core.http.standing import LOOK_SECONDS, look_again
from core.http.streams import Stream, while_connected
from core.http.validation import Query, body_decoder, decode_query, row_type
from core.problems import Kind, Problem, forbidden, needs_factor, out_of_scope

JSON = (b"content-type", b"application/json")
PRIVATE = (b"cache-control", b"private, no-cache")
NO_STORE = (b"cache-control", b"no-store")
VARY = (b"vary", b"Authorization")
LIST_VARY = (b"vary", b"Authorization, Accept-Encoding")
SMALL_BODY = 16 * 1024  # bytes
WATCH_AFTER_SECONDS = 0.5


class Endpoint:
    """An ASGI application around one handler, and the facts that describe it."""

    def __init__(self, handler: Callable[..., Awaitable[Any]], declared: "endpoint") -> None:
        self.handler = handler
        module = sys.modules[handler.__module__]
        self.tag: str = getattr(module, "TAG", module.__name__.rpartition(".")[2])
        self.name = f"{self.tag}_{handler.__name__}"
        self.status = declared.status
        self.also = declared.also
        self.problems = declared.problems
        self.public = declared.public
        self.ambito = declared.ambito
        self.admin = declared.admin
        self.media = tuple(declared.media)
        self.examples = declared.media if isinstance(declared.media, Mapping) else {}
        self.location = declared.location
        self.etag = declared.etag
        self.example = declared.example
        self.produces = declared.produces
        self.database = declared.database
        self.slow = declared.slow
        self.any_query = declared.any_query
        self.large = declared.large
        self.oauth = declared.oauth
        self.secret = declared.secret
        self.once: bool = getattr(handler, "once", False)
        self.streams = False
        hints = get_type_hints(handler, include_extras=True)
        self.answer: Any = hints["return"]
        self.path_names: list[str] = []
        self.body_name = self.query_name = ""
        self.body_type: Any = None
        self.query_type: type[Query] | None = None
        for name in list(inspect.signature(handler).parameters)[1:]:
            self._declare(name, hints[name])
        self._decode_rows = rows_decoder(self.body_type) if row_type(self.body_type) else None
        self._decode = body_decoder(None if self._decode_rows or self.oauth else self.body_type)
        answers = get_args(self.answer) if get_origin(self.answer) is Reply else (self.answer,)
        self.lists = get_origin(answers[0]) is list
        vary = LIST_VARY if self.lists else VARY
        private = (NO_STORE,) if self.secret else (PRIVATE, vary)
        self._headers: Headers = NO_CACHE if self.oauth else () if self.public else private

    def _declare(self, name: str, hint: Any) -> None:
        if hint is int:
            self.path_names.append(name)
        elif isinstance(hint, type) and issubclass(hint, Query):
            self.query_name, self.query_type = name, hint
        elif hint is Stream:
            self.body_name, self.streams = name, True
        else:
            self.body_name, self.body_type = name, hint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.public:
            caller = scope["caller"]
            if isinstance(caller, Problem):
                raise caller
            if caller.llave is not None and self.ambito not in caller.llave.ambitos:
                raise out_of_scope(self.ambito)
            if self.admin and not caller.admin:
                raise needs_factor() if caller.rol == "sin_factor" else forbidden()
            scope["account"] = caller.id
        elif self.database:
            scope["account"] = client_address(scope, scope["services"].settings.trusted_proxies)
        arguments: dict[str, Any] = {name: path_id(scope["path_params"][name]) for name in self.path_names}
        if self.query_type:
            arguments[self.query_name] = decode_query(scope["query_string"], self.query_type)
        elif scope["query_string"] and not self.any_query:
            decode_query(scope["query_string"], Query)
        if self.streams:
            arguments[self.body_name] = self._stream(scope, receive)
        elif self.body_name:
            began = monotonic()
            arguments[self.body_name] = await self._body(scope, receive)
            if not self.public and monotonic() - began > LOOK_SECONDS:
                await look_again(scope)
        scope["endpoint"] = self
        work = self.handler(Request(scope), **arguments)
        reply = await (while_connected(work, receive, after=WATCH_AFTER_SECONDS) if self.slow else work)
        if isinstance(reply, Response):
            await reply(scope, receive, send)
        else:
            answer = self.answer_with(reply, scope)
            if self.lists and len(answer.body) > codings.LEAST and (coding := codings.chosen(scope)):
                answer = await _coded(answer, coding)
            await respond(send, answer.status, answer.body, answer.headers)

    def answer_with(self, reply: Any, scope: Scope) -> Answer:
        """What goes on the wire for what the handler returned."""
        if isinstance(reply, Answer):
            return reply
        status, headers = self.status, self._headers
        if isinstance(reply, Reply):
            status, headers = reply.status or status, (*headers, *reply.headers)
            reply = reply.body
        if reply is None:
            return Answer(status, headers, b"")
        if self.location and isinstance(reply, Created):
            path = scope["prefix"] + self.location.format(id=reply.id)
            headers = (*headers, (b"location", path.encode()))
        return Answer(status, (JSON, *headers), encode(reply))

    def _stream(self, scope: Scope, receive: Receive) -> Stream:
        codings.check_plain(scope)
        media = check_media(scope, self.media)
        if media is None:
            raise wrong_media(self.media)
        settings = scope["services"].settings
        limits = {"longest": settings.transfer_max_seconds, "most": settings.transfer_max_bytes}
        _, parameters = parse_options_header(header(scope, b"content-type"))
        if media == FORM_DATA:
            stream: Stream = FormFile(receive, parameters.get(b"boundary", b""), **limits)
        else:
            charset = parameters.get(b"charset", b"").decode("latin-1").lower()
            stream = Stream(receive, media, charset, **limits)
        scope["body"] = stream
        return stream

    async def _body(self, scope: Scope, receive: Receive) -> Any:
        codings.check_plain(scope)
        media = check_media(scope, self.media)
        comes = b"expect" in scope["header_names"] or header(scope, b"content-length") not in (None, b"0")
        if media is None and comes:
            raise wrong_media(self.media)  # before 100 Continue asks for the body
        most: int = scope["services"].settings.max_body_bytes
        limit = most if self.large else min(most, SMALL_BODY)
        body = scope["body"] = await read_body(scope, receive, limit, scope["bodies"])
        if body and media is None:
            raise wrong_media(self.media)
        if self.oauth:
            return decode_parameters(body, media, self.body_type)
        if self._decode_rows:
            return await self._decode_rows(body, scope["bodies"].turn)
        return self._decode(body)


async def _coded(answer: Answer, coding: str) -> Answer:
    said = (b"content-encoding", coding.encode())
    return Answer(answer.status, (*answer.headers, said), await codings.compressed(answer.body, coding))


class endpoint(Struct, frozen=True, kw_only=True):
    """Declares a handler as an endpoint.

    Its parameters say what it takes: an `int` is an id of the path, a `Query` the query string, any other
    type the body, which a `Stream` gives piece by piece; its return type says what it answers with `status`."""

    status: int = 200
    also: Sequence[int] = ()  # other statuses that are no errors
    problems: Sequence[Kind] = ()  # the errors that are its own
    public: bool = False  # it needs no token
    ambito: str | None = None  # the scope with which an API key will do; without one it takes no keys
    admin: bool = False  # it needs an admin's token
    media: Sequence[str] | Mapping[str, Any] = ("application/json",)  # of its body; with an example of each
    location: str | None = None  # the path of what was created
    etag: bool = False  # the answer has one
    example: Struct | None = None  # an answer
    produces: (
        Sequence[str] | Mapping[str, Any]
    ) = ()  # media types of a Response; with the type of one that is no text
    database: bool = True  # the answer needs one
    slow: bool = False  # it is cancelled, queries and all, when the client hangs up
    any_query: bool = (
        False  # parameters that it does not know are ignored: mail programs and probes add theirs
    )
    secret: bool = False  # the answer holds a secret: nobody keeps it, and we keep it sealed
    large: bool = False  # its body may be as long as the settings say, not only SMALL_BODY bytes
    oauth: bool = (
        False  # it takes parameters, of a union those of the grant_type, and refuses them as RFC 6749 says
    )

    def __call__(self, handler: Callable[..., Awaitable[Any]]) -> Endpoint:
        return Endpoint(handler, self)
