"""Sessions: a user's own, to look at and to end."""

from typing import Annotated

from msgspec import Meta

from core.http.answers import Answered, Reply
from core.http.endpoint import endpoint
from core.http.request import Request, shown_id
from core.http.validation import Query
from core.problems import NO_SESSION, Problem
from core.process.services import Services
from handlers.keyset_pages import PageQuery, make_cursor, page_headers, read_cursor
from sql import sesiones
from sql.sesiones import Sesion

TAG = "sessions"

NEWEST = 2**63 - 1
ENDED = Answered("Sesión terminada correctamente")
ALL_ENDED = Answered("Sesiones terminadas correctamente")


class EndQuery(Query, frozen=True):
    """Which sessions to end."""

    todas: Annotated[bool, Meta(description="this one too")] = False


@endpoint()
async def index(request: Request, query: PageQuery) -> Reply[list[Sesion]]:
    """List one's sessions that stand, newest first.

    Each login opens one; that of the token sent is `actual`."""
    caller = request.caller
    found = await sesiones.page(
        request.db,
        caller.id,
        current=caller.session,
        idle=idle_seconds(request.services),
        before=read_cursor(request, "sesiones", query.despues, int) or NEWEST,
        limit=query.limit + 1,
    )
    page = found[: query.limit]
    cursor = make_cursor(request, "sesiones", page[-1].id) if len(found) > len(page) else None
    return Reply(page, page_headers(request, cursor, None))


@endpoint(problems=[NO_SESSION], example=ENDED)
async def remove(request: Request, id: int) -> Answered:
    """End one of one's sessions.

    Its tokens stop working within a second."""
    ended = await sesiones.end(request.db, request.caller.id, request.origin, id=id)
    request.services.known.forget(request.caller.id)
    if not ended:
        raise Problem(NO_SESSION, f"No existe la sesión con el id {shown_id(request)}")
    return ENDED


@endpoint(example=ALL_ENDED)
async def remove_all(request: Request, query: EndQuery) -> Answered:
    """End one's sessions.

    All but this one, or with `todas` this one too. Their tokens stop working within a second."""
    keep = None if query.todas else request.caller.session
    await sesiones.end(request.db, request.caller.id, request.origin, keep=keep)
    request.services.known.forget(request.caller.id)
    return ALL_ENDED


def idle_seconds(services: Services) -> int:
    """How long a refresh token may lie unused, in seconds."""
    return services.settings.refresh_token_days * 86_400
