"""What an operator's probe asks: is the process alive, can it serve."""

from msgspec import Struct

from core.http.endpoint import endpoint
from core.http.request import Request
from core.migrating.migrations import names
from core.problems import NOT_MIGRATED, STOPPING, DatabaseUnavailable, stopping
from sql.migrations import applied


class Health(Struct, frozen=True):
    estado: str


@endpoint(public=True, database=False, any_query=True)
async def alive(request: Request) -> Health:
    """Tell that the process is alive; the database is not asked."""
    return Health("vivo")


@endpoint(public=True, any_query=True, problems=[NOT_MIGRATED, STOPPING])
async def ready(request: Request) -> Health:
    """Tell whether requests can be served: the process goes on, the database answers and has every migration."""
    if request.services.shutdown.begun:
        raise stopping()
    if set(names()) - await applied(request.services.db):
        raise DatabaseUnavailable(NOT_MIGRATED)
    return Health("listo")
