"""The way from a path to its route: by looking it up, however many routes there are."""

from collections.abc import Awaitable, Sequence

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from core.http.messages import respond
from core.http.request_head import METHODS


class Map(Router):
    """Starlette's Router, which tries one route after the other, behind tables that know most of them at once.

    Those are the paths without a parameter, and those whose only one is their last segment, as in /user/{id}."""

    def __init__(self, routes: Sequence[BaseRoute], default: ASGIApp) -> None:
        super().__init__(routes, default=default, redirect_slashes=False)
        self._whole: dict[str, Route] = {}
        self._up_to_last: dict[str, tuple[Route, str]] = {}
        for route in routes:
            if isinstance(route, Route):
                beginning, _, last = route.path.rpartition("/")
                if "{" not in route.path:
                    self._whole[route.path] = route
                elif "{" not in beginning:
                    self._up_to_last[beginning] = route, last[1:-1]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        if "refused" in scope:  # what the connection could not read as a request
            raise scope["refused"]
        path = scope["path"]
        if path == "*":
            return respond(send, 204, b"", [(b"allow", b", ".join(METHODS))])
        route = self._whole.get(path)
        if route:
            scope["path_params"] = {}
        else:
            beginning, _, last = path.rpartition("/")
            if not last or beginning not in self._up_to_last:
                return super().__call__(scope, receive, send)
            route, name = self._up_to_last[beginning]
            scope["path_params"] = {name: last}
        scope["route"] = route
        scope["router"] = self
        app: ASGIApp = route.app
        return app(scope, receive, send)
