"""The way from a path and a method to an endpoint: by looking it up, however many routes there are."""

from collections.abc import Awaitable, Sequence

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from core.http.endpoint import Endpoint
from core.http.messages import respond
from core.http.request_head import METHODS
from core.problems import WRONG_METHOD, Problem


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


def at(path: str, **methods: Endpoint) -> Route:
    """One path of the map and its endpoint for each method; it answers with and without a trailing slash."""
    return Route(path.rstrip("/") or "/", Methods(path, methods))


class Methods:
    """Chooses the endpoint by the request's method; a HEAD is a GET whose body is not sent."""

    def __init__(self, path: str, endpoints: dict[str, Endpoint]) -> None:
        self.path = path
        self.endpoints = endpoints
        self._by_method = {"HEAD": endpoints["GET"]} | endpoints if "GET" in endpoints else endpoints
        self.oauth = any(endpoint.oauth for endpoint in endpoints.values())
        self._allow = ", ".join(sorted(self._by_method)).encode()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        chosen = self._by_method.get(scope["method"])
        if chosen is None:
            return self._without_endpoint(scope, send)
        return chosen(scope, receive, send)

    def _without_endpoint(self, scope: Scope, send: Send) -> Awaitable[None]:
        """Answers a browser that asks whether a page may use a method; else 405, with the methods that there are."""
        if scope.get("preflight") in self._by_method:
            return respond(send, 200, b"", [(b"access-control-allow-methods", self._allow)])
        detail = f"Esta ruta admite: {self._allow.decode()}"
        raise Problem(WRONG_METHOD, detail, headers=[(b"allow", self._allow)])
