"""ASGI messages: what a request brings, what an answer sends."""

import asyncio
import ipaddress
from collections.abc import Sequence

from starlette.types import Message, Receive, Scope, Send

from core.caller import NOBODY, Caller, Origin
from core.http.body_budget import BodyBudget
from core.problems import SLOW_BODY, TOO_LARGE, WRONG_MEDIA, Problem, invalid

BODY_SECONDS = 20
AGENT_LENGTH = 200

Headers = Sequence[tuple[bytes, bytes]]
CLOSE = (b"connection", b"close")


class ClientGone(Exception):
    """The client hung up before its request was whole."""


def gone(message: Message) -> Exception:
    """Why a body ends before it is whole: the client hung up, or what it sent cannot be read (a Problem)."""
    return message.get("problem") or ClientGone()


def values(scope: Scope, name: bytes) -> Sequence[bytes]:
    """All that a request says under a header's name, which is in lower case."""
    if name not in scope["header_names"]:
        return ()
    return [value for key, value in scope["headers"] if key == name]


def header(scope: Scope, name: bytes) -> bytes | None:
    """A header's value. Raises Problem 422 when it comes more than once."""
    said = values(scope, name)
    if len(said) > 1:
        raise invalid(name.decode(), "está repetido")
    return said[0] if said else None


def check_media(scope: Scope, accepted: Sequence[str]) -> str | None:
    """The media type of the body, without its parameters; None when the request names none.

    Raises Problem 415 when it is not one of `accepted`."""
    value = header(scope, b"content-type")
    if value is None:
        return None
    media = value.partition(b";")[0].strip().lower().decode("latin-1")
    if media not in accepted:
        raise wrong_media(accepted)
    return media


def wrong_media(accepted: Sequence[str]) -> Problem:
    return Problem(WRONG_MEDIA, f"El cuerpo debe ser {' o '.join(accepted)}")


async def read_body(scope: Scope, receive: Receive, limit: int, budget: BodyBudget) -> bytes:
    """The whole body. Raises Problem 413 past `limit` bytes, 408 when it takes over BODY_SECONDS.

    What came with its head is there at once. For more there has to be room in the budget."""
    if scope.get("whole"):
        message = await receive()
        body: bytes = message["body"]
    else:
        await budget.hold(_declared(scope, limit))
        body = await _wait_for_body(receive, limit)
    if len(body) > limit:
        raise too_large(limit)
    return body


def _declared(scope: Scope, limit: int) -> int:
    """How long the body says it is, or may be. Raises Problem 413."""
    length = header(scope, b"content-length")
    if length is not None and int(length) > limit:
        raise too_large(limit)
    return limit if length is None else int(length)


async def _wait_for_body(receive: Receive, limit: int) -> bytes:
    chunks, size, more = [], 0, True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more and size <= limit:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise gone(message)
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                more = message.get("more_body", False)
    except TimeoutError:
        detail = f"El cuerpo no llegó completo en {BODY_SECONDS} segundos"
        raise Problem(SLOW_BODY, detail, headers=[CLOSE]) from None
    return b"".join(chunks)


def too_large(limit: int) -> Problem:
    """413, and the rest of the body is not waited for."""
    return Problem(TOO_LARGE, f"El cuerpo pasa de {limit} bytes", headers=[CLOSE])


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """One whole answer; a 304 or 204 has no body and says no length (RFC 9110 section 8.6)."""
    whole = [*headers] if status in (204, 304) else [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": whole})
    await send({"type": "http.response.body", "body": body})


def client_address(scope: Scope, trusted_proxies: int) -> str:
    """The client's address: the X-Forwarded-For entry that the outermost trusted proxy appended, or the peer.

    What stands left of that entry was written by the client, and is not believed."""
    peer: str = scope["client"][0] if scope.get("client") else ""
    if not trusted_proxies:
        return peer
    said = b",".join(values(scope, b"x-forwarded-for")).decode("latin-1")
    entries = [entry.strip() for entry in said.split(",") if entry.strip()]
    return _address(entries[-trusted_proxies]) or peer if len(entries) >= trusted_proxies else peer


def _address(entry: str) -> str:
    """An entry without port, brackets or zone; empty when it is no address."""
    bare = entry.partition("]")[0].lstrip("[") if entry.startswith("[") else entry
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return str(ipaddress.ip_address(bare.partition("%")[0]))
    except ValueError:
        return ""


def origin_of(scope: Scope, trusted_proxies: int) -> Origin:
    """The caller and where the request comes from."""
    caller = scope["caller"]
    agents = values(scope, b"user-agent")
    return Origin(
        actor=caller.id if isinstance(caller, Caller) else NOBODY,
        address=client_address(scope, trusted_proxies),
        agent=agents[0].decode("latin-1")[:AGENT_LENGTH] if agents else "",
        request_id=scope["request_id"].decode(),
    )
