"""The map finds what Starlette's own router finds."""

import asyncio

import pytest
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

import app
from core.http.routing import Map

PATHS = [
    *(route.path for route in app.routes),
    *(route.path.replace("{id}", "7") for route in app.routes),
    *(
        "/user/me/venta",
        "/user//venta",
        "/user/{}",
        "/user/a b",
        "/user/1/2",
        "/venta/resumen/1",
        "/nada",
        "//",
        "",
    ),
]


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    scope["found"] = None


def found(router: ASGIApp, path: str, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        scope["found"] = scope["route"].path

    for route in app.routes:
        monkeypatch.setattr(route, "app", note)
    scope: Scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    asyncio.run(router(scope, None, None))  # type: ignore[arg-type]
    return scope["found"], scope.get("path_params")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leads_where_it_did(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Router(app.routes, default=nowhere, redirect_slashes=False)
    assert found(Map(app.routes, nowhere), path, monkeypatch) == found(theirs, path, monkeypatch)
