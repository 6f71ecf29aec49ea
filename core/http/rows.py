"""A JSON list of many rows as a body: it is read in slices, and between two of them the event loop goes on."""

import asyncio
import re
from codecs import BOM_UTF8
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import msgspec
from msgspec import Raw, inspect

from core.http.validation import MAX_ERRORS, Error, body_decoder, describe, row_type
from core.problems import BAD_JSON, INVALID, Problem, invalid, invalid_fields

SLICE_SECONDS = 0.005
MOST_VALUES = 100  # in one row
# An escape that msgspec reads only in pairs: after an odd number of backslashes.
SURROGATE = re.compile(rb"\\(?<!\\\\)((?:\\\\)*+)u[dD][89a-fA-F][0-9a-fA-F]{2}")

Decode = Callable[[bytes, asyncio.Lock], Awaitable[list[Any]]]


def rows_decoder(type_: Any) -> Decode:
    """A function from JSON bytes to `type_`, a list of Bodies that has a longest length. One list is read at a
    time, for whose turn the lock stands.

    Raises Problem: 400 when it is not JSON, 422 with the first fields at fault and the `indice` of their rows."""
    info = inspect.type_info(type_)
    assert isinstance(info, inspect.ListType) and info.max_length  # noqa: S101 - how endpoints are declared
    most_rows, wanted, row = info.max_length, describe(info), row_type(type_)
    most_commas = most_rows * (len(msgspec.structs.fields(row)) + 1)
    decode = body_decoder(row)

    async def decoder(body: bytes, turn: asyncio.Lock) -> list[Any]:
        async with turn:
            if body.count(b",") > most_commas:
                raise invalid("cuerpo", f"tiene demasiados valores: {wanted}")
            raws = _split(body.removeprefix(BOM_UTF8), wanted)
            if len(raws) > most_rows:
                raise invalid("cuerpo", wanted)
            return await _decoded(raws, decode)

    return decoder


async def _decoded(written: list[Raw], decode: Callable[[bytes], Any]) -> list[Any]:
    rows: list[Any] = []
    errores: list[Error] = []
    until = monotonic() + SLICE_SECONDS
    for index, row in enumerate(written):
        try:
            rows.append(_one(bytes(row), decode))
        except Problem as problem:
            if problem.kind is not INVALID:
                raise
            errores += [{"indice": index} | error for error in problem.errores or ()]
            if len(errores) >= MAX_ERRORS:
                break
        if monotonic() > until:
            await asyncio.sleep(0)
            until = monotonic() + SLICE_SECONDS
    if errores:
        raise invalid_fields(errores[:MAX_ERRORS])
    return rows


def _one(row: bytes, decode: Callable[[bytes], Any]) -> Any:
    if row.count(b",") > MOST_VALUES:
        raise invalid("cuerpo", "tiene demasiados valores")
    return decode(row)


def _split(body: bytes, wanted: str) -> list[Raw]:
    """The rows as they are written: all of it is JSON, but what they hold is not looked at."""
    try:
        return msgspec.json.decode(body, type=list[Raw])
    except (ValueError, RecursionError):
        body = SURROGATE.sub(rb"\\\1u0000", body)  # so that its row is refused, and named
    try:
        body.decode()
        msgspec.json.decode(body, type=Raw)
        return msgspec.json.decode(body, type=list[Raw])
    except RecursionError:
        raise invalid("cuerpo", "tiene demasiados niveles") from None
    except msgspec.ValidationError:
        raise invalid("cuerpo", wanted) from None
    except ValueError:
        raise Problem(BAD_JSON, "El cuerpo no es JSON válido en UTF-8") from None
