"""Middleware for calls from the pages of other origins (CORS, as the Fetch standard has it)."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Receive, Scope, Send


class Cors(CORSMiddleware):
    """Starlette's, but errors, which are answered further out, have its headers too: a page may read why."""

    async def simple_response(
        self, scope: Scope, receive: Receive, send: Send, request_headers: Headers
    ) -> None:
        async def keep(start: Message) -> None:
            scope["answer_headers"] += start["headers"]

        await self.send({"type": "http.response.start"}, keep, request_headers)
        await self.app(scope, receive, send)
