"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a POST that may be repeated has one effect."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache, wraps
from hashlib import sha256
from time import monotonic
from typing import Any

from msgspec import structs

from core.database.executors import Transaction
from core.http.answers import Answer, Created
from core.http.endpoint import Endpoint
from core.http.forms import FORM_DATA, FormFile
from core.http.messages import header
from core.http.request import Request
from core.http.standing import LOOK_SECONDS, look_again
from core.http.streams import Stream
from core.problems import (
    DB_SLOW,
    KEY_IN_USE,
    KEY_REUSED,
    ConstraintViolated,
    DatabaseUnavailable,
    Problem,
    bad_token,
    invalid,
)
from sql import idempotencia
from sql.idempotencia import UNKNOWN_ID, Claim, Guardada, KeyTaken

Handler = Callable[..., Awaitable[Any]]

KEY = re.compile(rb"[!-~]{1,255}")
QUOTED = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])*)"')  # a String of RFC 8941, as the draft has it
ESCAPED = re.compile(rb'\\(["\\])')
REPLAYED = (b"idempotent-replayed", b"true")
NO_HUELLA = bytes(32)  # instead of the fingerprint of a request that holds a password or a code


def once(handler: Handler) -> Handler:
    """Makes a handler repeatable: under the same key, the same request gets the first answer again.

    The key, the effect and the answer are written in one transaction, which `request.db` is meanwhile; a
    request that is refused writes none of them. Raises Problem: 422 for a bad key and for one of another
    request, 409 while the first request takes too long, 401 when the session ended meanwhile."""

    @wraps(handler)
    async def repeatable(request: Request, **arguments: Any) -> Any:
        clave = _key(request)
        if clave is None:
            return await handler(request, **arguments)
        user, began = request.caller.id, monotonic()
        async with _turn(request, clave), request.db.transaction() as tx:
            first = await _claim(tx, user, clave)
            if monotonic() - began > LOOK_SECONDS:
                await look_again(request.scope)
            if first is None:
                request.scope["db"] = tx
                answer = request.endpoint.answer_with(await handler(request, **arguments), request.scope)
                await idempotencia.store(tx, user, clave, await _kept(request, answer))
                return answer
        if request.endpoint.secret:
            return await _opened(request, first)
        return _again(first, await _fingerprint(request))

    repeatable.once = True  # type: ignore[attr-defined]
    return repeatable


def once_as(respuesta: str) -> Callable[[Handler], Handler]:
    """As `once`, for a handler that makes one row by a statement that claims the key too: one round trip.

    The handler gives the statement what `claim` says, and answers Created(respuesta, id)."""

    def declare(handler: Handler) -> Handler:
        by_steps = once(handler)

        @wraps(handler)
        async def repeatable(request: Request, **arguments: Any) -> Any:
            clave = _key(request)
            if clave is None:
                return await handler(request, **arguments)
            if request.db.sharded:  # a statement that makes several rows is one of several shards there
                return await by_steps(request, **arguments)
            user, huella = request.caller.id, await _fingerprint(request)
            answer = _created(request.endpoint, respuesta, request.prefix)
            request.scope["claim"] = Claim(user, clave, structs.replace(answer, huella=huella))
            async with _turn(request, clave):
                try:
                    return await handler(request, **arguments)
                except KeyTaken:
                    first = await idempotencia.stored(request.db, user, clave)
                except DatabaseUnavailable as error:
                    raise _in_use() if error.kind is DB_SLOW else error from None
            if first is None:  # it expired a moment ago
                raise _in_use()
            return _again(first, huella)

        repeatable.once = True  # type: ignore[attr-defined]
        return repeatable

    return declare


def claim(request: Request) -> Claim | None:
    """The key that a handler's statement is to claim, within `once_as`; None when the request has none."""
    found: Claim | None = request.scope.get("claim")
    return found


@cache
def _created(endpoint: Endpoint, respuesta: str, prefix: str) -> Guardada:
    """The answer to a request that makes a row, with UNKNOWN_ID for the row's id."""
    return _pack(b"", endpoint.answer_with(Created(respuesta, UNKNOWN_ID), {"prefix": prefix}))


def _again(first: Guardada, huella: bytes) -> Answer:
    """The first answer. Raises Problem 422 when it was another request's."""
    if first.huella != huella:
        raise Problem(KEY_REUSED, "Esta Idempotency-Key ya se usó con otra petición")
    return _unpack(first)


def _key(request: Request) -> str | None:
    """The key, which may stand as bare text or in the draft's quotes."""
    key = header(request.scope, b"idempotency-key")
    if key is not None and (quoted := QUOTED.fullmatch(key)):
        key = ESCAPED.sub(rb"\1", quoted[1])
    if key is not None and not KEY.fullmatch(key):
        raise invalid("Idempotency-Key", "debe tener de 1 a 255 caracteres ASCII visibles")
    return None if key is None else key.decode()


@asynccontextmanager
async def _turn(request: Request, clave: str) -> AsyncIterator[None]:
    """Repetitions that reach this process wait here, where they hold no connection."""
    services = request.services
    lock = services.turns.setdefault((request.caller.id, clave), asyncio.Lock())
    try:
        async with asyncio.timeout(services.settings.db_timeout_seconds):
            await lock.acquire()
    except TimeoutError:
        raise _in_use() from None
    try:
        yield
    finally:
        lock.release()


async def _claim(tx: Transaction, usuario_id: int, clave: str) -> Guardada | None:
    """None when the key is this request's; else what it got before."""
    try:
        if await idempotencia.claim(tx, usuario_id, clave):
            return None
    except ConstraintViolated:
        raise bad_token() from None
    except DatabaseUnavailable as error:
        raise _in_use() if error.kind is DB_SLOW else error from None
    return await idempotencia.stored(tx, usuario_id, clave)


def _in_use() -> Problem:
    detail = "La primera petición con esta Idempotency-Key sigue en curso"
    return Problem(KEY_IN_USE, detail, headers=[(b"retry-after", b"1")])


async def _fingerprint(request: Request) -> bytes:
    """SHA-256 of what makes two requests the same; a streamed body is read to its end for it."""
    scope, body = request.scope, request.scope.get("body", b"")
    if isinstance(body, Stream):
        async for _ in body:
            pass
        digest = body.digest.digest()
    else:
        digest = sha256(body).digest()
    # A form's Content-Type names a boundary, which is another each time it is sent.
    media = FORM_DATA.encode() if isinstance(body, FormFile) else header(scope, b"content-type") or b""
    parts = [scope["method"].encode(), scope["path"].encode(), scope["query_string"], media, digest]
    return sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()


def _pack(huella: bytes, answer: Answer) -> Guardada:
    cabeceras = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
    return Guardada(huella, answer.status, cabeceras, answer.body)


async def _kept(request: Request, answer: Answer) -> Guardada:
    """The answer as the database may hold it.

    One that holds a secret is sealed, and the seal is bound to the request. The database gets no plain hash of such a
    request: passwords could be tried against it much faster than against bcrypt."""
    huella = await _fingerprint(request)
    if not request.endpoint.secret:
        return _pack(huella, answer)
    sealed = request.services.vault.seal(_sealed_for(request, huella), answer.body)
    return _pack(NO_HUELLA, structs.replace(answer, body=sealed))


async def _opened(request: Request, first: Guardada) -> Answer:
    """The sealed answer. Raises Problem 422 when it was another request's, or the server's secret was changed twice."""
    body = request.services.vault.open(_sealed_for(request, await _fingerprint(request)), first.cuerpo)
    if body is None:
        detail = (
            "Esta Idempotency-Key ya se usó con otra petición, o su respuesta ya no se puede leer: use otra"
        )
        raise Problem(KEY_REUSED, detail)
    return _unpack(structs.replace(first, cuerpo=body))


def _sealed_for(request: Request, huella: bytes) -> str:
    return f"respuesta {request.caller.id} {huella.hex()}"


def _unpack(first: Guardada) -> Answer:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in first.cabeceras]
    return Answer(first.estado, [*headers, REPLAYED], first.cuerpo)
