"""The way from a path to its route: by its segments, however many routes there are."""

from collections.abc import Awaitable, Sequence
from typing import Any

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

ANY = object()  # stands in the tree for a segment such as {id}
END = object()  # leads to the route that ends there


class Map(Router):
    """Starlette's Router, which tries one route after the other, behind a tree that knows most of them at once."""

    def __init__(self, routes: Sequence[BaseRoute], default: ASGIApp) -> None:
        super().__init__(routes, default=default, redirect_slashes=False)
        self._tree: dict[object, Any] = {}
        for route in routes:
            if isinstance(route, Route):
                node = self._tree
                for segment in route.path.split("/"):
                    node = node.setdefault(ANY if segment.startswith("{") else segment, {})
                node[END] = route

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        node, values = self._tree, []
        for segment in scope["path"].split("/"):
            if segment in node:
                node = node[segment]
            elif ANY in node and segment:
                node = node[ANY]
                values.append(segment)
            else:
                break
        else:
            if END in node:
                route = scope["route"] = node[END]
                scope["router"] = self
                scope["path_params"] = dict(zip(route.param_convertors, values, strict=True))
                app: ASGIApp = route.app
                return app(scope, receive, send)
        return super().__call__(scope, receive, send)
