"""Answers that stay as they are: each has an ETag of its content, and is compressed once."""

import asyncio
from hashlib import sha256
from threading import Lock

from starlette.types import Scope

from core.http import codings
from core.http.answers import Answer
from core.http.conditional import fresh
from core.http.messages import Headers

NEW_EACH_TIME = (b"cache-control", b"no-cache")  # kept, but asked about each time


class Stored:
    """A body of the type `media`, and the headers that go with it."""

    def __init__(self, body: bytes, media: str, headers: Headers = ()) -> None:
        self._bodies = {"": body}
        self._hash = sha256(body).hexdigest()[:32].encode()
        self._media = (b"content-type", media.encode())
        self._worth_it = len(body) > codings.LEAST and not media.startswith(("image/", "font/"))
        self._headers = (*headers, codings.VARY) if self._worth_it else headers
        self._one_at_a_time = Lock()

    async def answer(self, scope: Scope, *, cache: tuple[bytes, bytes] = NEW_EACH_TIME) -> Answer:
        """The whole body, in the coding that the client wants, or 304. Raises Problem 412."""
        coding = codings.chosen(scope) if self._worth_it else ""
        # Other bytes have another tag (RFC 9110 section 8.8.3.3); the one names what the other does.
        tag = b'"%b%b"' % (self._hash, b"-" + coding.encode() if coding else b"")
        headers = (*self._headers, (b"etag", tag), cache)
        if fresh(scope, b'"%b"' % self._hash):
            return Answer(304, headers, b"")
        headers = (self._media, *headers)
        if not coding:
            return Answer(200, headers, self._bodies[""])
        body = self._bodies.get(coding)
        if body is None:
            body = await asyncio.to_thread(self._compress, coding)
        return Answer(200, (*headers, (b"content-encoding", coding.encode())), body)

    def _compress(self, coding: str) -> bytes:
        with self._one_at_a_time:
            if coding not in self._bodies:
                self._bodies[coding] = codings.SMALL[coding](self._bodies[""])
            return self._bodies[coding]
