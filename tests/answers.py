"""Which documented answers the suite has really seen."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import httpx

from app import routes
from core.describe import openapi

_seen: set[tuple[str, str]] = set()


@cache
def document() -> dict[str, Any]:
    """The description as a client reads it, with the settings of the tests."""
    described = openapi.document(routes, info={"title": "Ventas", "version": "1"}, limits={"password": 8})
    return json.loads(json.dumps(described))


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation by its method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


def record(answer: httpx.Response) -> None:
    """Notes an answer; httpx calls it for every one."""
    path = answer.request.url.path
    for template in document()["paths"]:
        if _pattern(template).fullmatch(path):
            _seen.add((f"{answer.request.method} {template}", str(answer.status_code)))
            return


def seen() -> list[tuple[str, str]]:
    """What was recorded so far, for another process."""
    return sorted(_seen)


def see(others: Iterable[Sequence[str]]) -> None:
    """Takes over what another process recorded."""
    _seen.update((operation, status) for operation, status in others)


def unseen() -> list[str]:
    documented = {
        (f"{method} {path}", status)
        for (method, path), operation in operations().items()
        for status in operation["responses"]
    }
    return sorted(f"{operation} {status}" for operation, status in documented - _seen)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template.rstrip("/"))) + "/?")
