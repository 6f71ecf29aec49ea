"""The audit: who did what, to whom, when and from where."""

from typing import Annotated

from msgspec import Meta

from core.auth.tokens import Id
from core.http.answers import Reply
from core.http.endpoint import endpoint
from core.http.request import Request
from handlers.days import Desde, Hasta, Zona, end, first_moment, zone_of
from handlers.keyset_pages import ListQuery, make_cursor, page_headers, read_cursor
from handlers.read_database import up_to_date
from sql import auditoria
from sql.auditoria import AuditFilters, AuditPlace, Registro

TAG = "audit"

Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z_]+\Z")]


class AuditQuery(ListQuery, frozen=True):
    """By whom (`usuario_id`), to whom (`afectado_id`), of what (`accion`), from `desde` up to `hasta`."""

    usuario_id: Annotated[Id | None, Meta(description="by whom")] = None
    afectado_id: Annotated[Id | None, Meta(description="to whom")] = None
    accion: (
        Annotated[
            str, Meta(min_length=1, max_length=40, pattern=r"^[a-z_]+\Z", description="of what, e.g. login")
        ]
        | None
    ) = None
    desde: Desde = None
    hasta: Hasta = None
    zona: Zona = None


@endpoint(admin=True)
async def index(request: Request, query: AuditQuery) -> Reply[list[Registro]]:
    """List what happened, newest first."""
    zone = zone_of(request, query.zona)
    filters = AuditFilters(
        usuario_id=query.usuario_id,
        afectado_id=query.afectado_id,
        accion=query.accion,
        desde=first_moment(query.desde, zone),
        hasta=end(query.hasta, zone),
    )
    after = read_cursor(request, "auditoria", query.despues, AuditPlace)
    db = await up_to_date(request.services)
    found = await auditoria.page(db, filters, after=after, limit=query.limit + 1)
    page = found[: query.limit]
    cursor = None
    if len(found) > len(page):
        cursor = make_cursor(request, "auditoria", AuditPlace(page[-1].creacion, page[-1].id))
    total = None
    if query.total == "exacto":
        total = await auditoria.count(db, filters)
    elif query.total == "estimado":
        total = await auditoria.estimate(db, filters)
    return Reply(page, page_headers(request, cursor, total))
