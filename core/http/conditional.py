"""Conditional requests (RFC 9110 section 13): entity tags made of a row's id and version, like "7-3"."""

import re
from typing import Any

from starlette.types import Scope

from core.condition import Condition
from core.http.answers import Reply
from core.http.messages import values
from core.http.request import Request
from core.problems import MOVED_ON, Problem

ANY = b"*"
# A proxy that compresses an answer may weaken its tag, W/"7-3", or add to it, "7-3-gzip": it still names the version.
TAG = re.compile(rb'(?:W/)?"([^"]*)"')
ADDED = re.compile(rb"(?<![-;])[-;]++(?:gzip|br|zstd|deflate|df)\Z")


def etag(id: int, version: int) -> tuple[bytes, bytes]:
    return (b"etag", b'"%d-%d"' % (id, version))


def tagged(request: Request, id: int, version: int, body: object) -> Reply[Any]:
    """A row's body with its ETag; 304 without it when the client has this version. Raises Problem 412."""
    tag = etag(id, version)
    if fresh(request.scope, tag[1]):
        return Reply(None, [tag], status=304)
    return Reply(body, [tag])


def fresh(scope: Scope, tag: bytes) -> bool:
    """Whether the client of a GET already has what `tag` names. Raises Problem 412 when If-Match wants another.

    In the order of section 13.2.2; nothing here has a date, so that its other conditions do not apply."""
    wanted = tags(scope, b"if-match")
    if wanted is not None and not wanted & {ANY, tag}:
        raise moved_on()
    known = tags(scope, b"if-none-match")
    return known is not None and bool(known & {ANY, tag})


def condition(scope: Scope, id: int) -> Condition:
    """Which versions of the row `id` the request wants to change."""
    wanted, known = tags(scope, b"if-match"), tags(scope, b"if-none-match") or frozenset()
    if ANY in known:
        return Condition(versions=[])
    any_version = wanted is None or ANY in wanted
    return Condition(None if any_version else _versions(wanted, id), _versions(known, id))


def moved_on() -> Problem:
    return Problem(MOVED_ON, "El recurso cambió desde que lo leyó; no se modificó nada")


def tags(scope: Scope, name: bytes) -> frozenset[bytes] | None:
    """The tags of a field, quoted and as this server gave them; ANY for an asterisk; None without the field."""
    said = values(scope, name)
    if not said:
        return None
    field = b",".join(said).strip()
    if field == ANY:
        return frozenset([ANY])
    return frozenset(b'"%b"' % ADDED.sub(b"", tag) for tag in TAG.findall(field))


def _versions(wanted: frozenset[bytes] | None, id: int) -> list[int]:
    """The versions of the row that the tags name."""
    of_row = re.compile(rb'"%d-([1-9]\d{0,17})"' % id)
    return [int(match[1]) for tag in wanted or () if (match := of_row.fullmatch(tag))]
