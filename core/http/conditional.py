"""Conditional requests (RFC 9110 section 13): entity tags made of a row's version."""

from typing import Any

from starlette.types import Scope

from core.http.endpoint import Reply, Request
from core.http.messages import values
from core.problems import MOVED_ON, Problem


def etag(version: int) -> tuple[bytes, bytes]:
    return (b"etag", b'"%d"' % version)


def tagged(request: Request, version: int, body: object) -> Reply[Any]:
    """The body with its ETag; 304 without it when If-None-Match names this version."""
    tag = etag(version)
    if matches(request.scope, tag[1]):
        return Reply(None, [tag], status=304)
    return Reply(body, [tag])


def unchanged(scope: Scope, version: int) -> bool:
    """Whether If-None-Match names this version."""
    return matches(scope, etag(version)[1])


def matches(scope: Scope, tag: bytes) -> bool:
    """Whether If-None-Match names this tag; they compare weakly, as its section 13.1.2 says."""
    tags = _tags(scope, b"if-none-match")
    return tags is not None and (b"*" in tags or tag in {sent.removeprefix(b"W/") for sent in tags})


def wanted_versions(scope: Scope) -> list[int] | None:
    """The versions that If-Match allows a change of; None for any. A tag that is not ours allows none."""
    tags = _tags(scope, b"if-match")
    if tags is None or b"*" in tags:
        return None
    bare = (tag[1:-1] for tag in tags if tag[:1] == tag[-1:] == b'"')
    return [int(digits) for digits in bare if digits.isdigit() and len(digits) < 19]


def moved_on() -> Problem:
    return Problem(MOVED_ON, "El recurso cambió desde que lo leyó; no se modificó nada")


def _tags(scope: Scope, name: bytes) -> list[bytes] | None:
    said = values(scope, name)
    return [tag.strip() for value in said for tag in value.split(b",")] if said else None
