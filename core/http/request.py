"""The request that a handler is given."""

from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from core.caller import Caller, Origin
from core.http.messages import origin_of

if TYPE_CHECKING:  # what the process has put into the scope
    from core.database.database import Runner
    from core.http.endpoint import Endpoint
    from core.process.services import Services


class Request(HTTPConnection):
    """A request, with what the product adds: its caller, the services, and where its statements run."""

    @property
    def services(self) -> "Services":
        services: Services = self.scope["services"]
        return services

    @property
    def db(self) -> "Runner":
        return self.scope.get("db") or self.services.db

    @property
    def caller(self) -> Caller:
        caller: Caller = self.scope["caller"]
        return caller

    @property
    def origin(self) -> Origin:
        return origin_of(self.scope, self.services.settings.trusted_proxies)

    @property
    def prefix(self) -> str:
        """What a proxy puts before every path, like /api; mostly nothing."""
        prefix: str = self.scope["prefix"]
        return prefix

    @property
    def own_path(self) -> str:
        """The path as it is described: a collection's ends with a slash, whether or not the request's does."""
        path, declared = self.scope["path"], self.scope["route"].app.path
        return f"{path}/" if declared.endswith("/") else str(path)

    @property
    def endpoint(self) -> "Endpoint":
        endpoint: Endpoint = self.scope["endpoint"]
        return endpoint


def path_id(text: str) -> int:
    """The id in a path; 0, which no row has, for what cannot be one."""
    if text.isascii() and text.isdigit() and len(text) < 20 and (id := int(text)) < 2**63:
        return id
    return 0


def shown_id(request: Request) -> str:
    """The path's id as the client wrote it, for a message."""
    return str(request.path_params["id"])[:40]
