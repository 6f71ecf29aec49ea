"""The list of users."""

from typing import Annotated

from msgspec import Meta

from core.caller import Rol
from core.http.answers import Reply
from core.http.endpoint import endpoint
from core.http.request import Request
from core.problems import CROWDED
from handlers.fields import normal
from handlers.keyset_pages import ListQuery, make_cursor, page_headers, read_cursor
from handlers.read_database import reading
from sql import usuarios_list
from sql.usuarios import Publico

TAG = "users"

Prefix = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]+\Z")]


class UserFilters(ListQuery, frozen=True):
    """Which users to list."""

    q: Annotated[
        Prefix | None, Meta(description="how username, nombre, apellido or correo begins, in any letter case")
    ] = None
    estado: Annotated[bool | None, Meta(description="whether the correo is verified")] = None
    rol: Rol | None = None
    bloqueado: Annotated[bool | None, Meta(description="whether an admin keeps them out")] = None


@endpoint(admin=True, slow=True, problems=[CROWDED])
async def index(request: Request, query: UserFilters) -> Reply[list[Publico]]:
    """List users, by rising id."""
    after = read_cursor(request, "usuarios", query.despues, int) or 0
    filters = usuarios_list.ChosenUsers(query.q and normal(query.q), query.estado, query.rol, query.bloqueado)
    heavy = query.q is not None or query.total == "exacto"
    async with reading(request.services, heavy=heavy) as db:
        found = await usuarios_list.page(db, filters, after=after, limit=query.limit + 1)
        total = None
        if query.total == "exacto":
            total = await usuarios_list.count(db, filters)
        elif query.total == "estimado":
            total = await usuarios_list.estimate(db)
    page = found[: query.limit]
    cursor = make_cursor(request, "usuarios", page[-1].id) if len(found) > len(page) else None
    return Reply(page, page_headers(request, cursor, total))
