"""Sales: what was sold, by whom, when."""

from datetime import UTC, datetime
from typing import ClassVar

from msgspec import UNSET, UnsetType

from core.condition import Change
from core.http.answers import Answered, Created, Reply
from core.http.conditional import condition, moved_on, tagged
from core.http.endpoint import endpoint
from core.http.request import Request, shown_id
from core.http.validation import Body
from core.instants import Dates, Moment, end_of, midnight, moment
from core.problems import (
    CROWDED,
    FORBIDDEN,
    MOVED_ON,
    NO_SALE,
    NO_USER,
    Problem,
    bad_token,
    forbidden,
    invalid,
)
from handlers.days import zone_of
from handlers.idempotency import claim, once_as
from handlers.keyset_pages import make_cursor, page_headers, read_cursor
from handlers.read_database import reading
from handlers.ventas_filters import SalesQuery, UserSalesQuery, filters, owner, whose
from sql import usuarios, ventas, ventas_list, ventas_once
from sql.ventas import Id, Importe, Productos, Span, Venta
from sql.ventas_list import SalePlace

LIST = "ventas"
CREATED = "Venta creada correctamente"
UPDATED = Answered("Venta actualizada correctamente")
DELETED = Answered("Venta eliminada correctamente")


class NewVenta(Body, frozen=True):
    """A sale; without `usuario_id` it is the caller's own, and another's is for an admin to make."""

    EXAMPLE: ClassVar = {"venta": 150000, "ventas_productos": 3}

    venta: Importe
    ventas_productos: Productos
    usuario_id: Id | None = None


class VentaChanges(Body, frozen=True):
    """Only the fields sent change."""

    EXAMPLE: ClassVar = {"venta": 140000}

    venta: Importe | UnsetType = UNSET
    ventas_productos: Productos | UnsetType = UNSET
    creacion: Moment | UnsetType = UNSET


@endpoint(
    status=201,
    ambito="ventas:crear",
    location="/venta/{id}",
    problems=[FORBIDDEN, NO_USER],
    example=Created(CREATED, 9),
)
@once_as(CREATED)
async def create(request: Request, new: NewVenta) -> Created:
    """Record a sale.

    One's own; an admin also records one of `usuario_id`."""
    caller = request.caller
    seller = new.usuario_id or caller.id
    if seller != caller.id and not caller.admin:
        raise forbidden()
    sale = seller, new.venta, new.ventas_productos
    if key := claim(request):
        id = await ventas_once.insert(request.db, key, *sale)
    else:
        id = await ventas.insert(request.db, *sale)
    if id is None:
        raise bad_token() if seller == caller.id else no_user(str(seller))
    return Created(CREATED, id)


@endpoint(ambito="ventas:leer", problems=[FORBIDDEN, CROWDED], slow=True)
async def index(request: Request, query: SalesQuery) -> Reply[list[Venta]]:
    """List sales, newest first unless `orden` says otherwise.

    One's own; an admin's list is of everyone's, or of those of `usuario_id`. `desde` is the first moment and
    `hasta` the first one past the end; a plain date is its whole day, so that `hasta=2026-01-31` includes it."""
    return await _page(request, query, whose(request.caller, query.usuario_id))


@endpoint(ambito="ventas:leer", problems=[FORBIDDEN, NO_USER, CROWDED], slow=True)
async def of_user(request: Request, id: int, query: UserSalesQuery) -> Reply[list[Venta]]:
    """List the sales of a user, newest first unless `orden` says otherwise.

    As the list of all sales with `usuario_id`: one's own, or for an admin anyone's."""
    whose(request.caller, id)
    reply = await _page(request, query, id)
    if not reply.body and await usuarios.by_id(request.db, id) is None:
        raise no_user(shown_id(request))
    return reply


@endpoint(ambito="ventas:leer", problems=[NO_SALE], etag=True)
async def show(request: Request, id: int) -> Reply[Venta]:
    """Read a sale.

    One's own; an admin reads everyone's. Another's is not found, as if it did not exist."""
    found = await ventas.by_id(request.db, id, owner(request.caller))
    if found is None:
        raise Problem(NO_SALE, f"No existe la venta con el id {shown_id(request)}")
    return tagged(request, id, found.version, found.venta)


@endpoint(problems=[NO_SALE, MOVED_ON, FORBIDDEN], example=UPDATED)
async def update(request: Request, id: int, changes: VentaChanges) -> Answered:
    """Change a sale.

    One's own; an admin changes everyone's. `creacion` may be set within the bounds of an import; by the owner, only
    while it is still the day on which the sale was made."""
    creacion = made = None
    if changes.creacion is not UNSET:
        creacion = _dated(request, changes.creacion)
        made = None if request.caller.admin else _today(request)
    seller = await _seller(request, id)
    change = await ventas.update(
        request.db,
        id,
        request.origin,
        usuario_id=seller,
        condition=condition(request.scope, id),
        venta=None if changes.venta is UNSET else changes.venta,
        ventas_productos=None if changes.ventas_productos is UNSET else changes.ventas_productos,
        creacion=creacion,
        made=made,
    )
    if made and change.found and not change.changed:
        await _refuse_another_day(request, id, made)
    _check(change, f"No existe la venta con el id {shown_id(request)} por lo tanto no se puede actualizar")
    return UPDATED


@endpoint(problems=[NO_SALE, MOVED_ON], example=DELETED)
async def remove(request: Request, id: int) -> Answered:
    """Delete a sale.

    One's own; an admin deletes everyone's."""
    seller = await _seller(request, id)
    wanted = condition(request.scope, id)
    change = await ventas.delete(request.db, id, request.origin, usuario_id=seller, condition=wanted)
    _check(change, f"No existe la venta con el id {shown_id(request)} por lo tanto no se elimina")
    return DELETED


def _dated(request: Request, creacion: str) -> datetime:
    settings = request.services.settings
    try:
        return Dates.up_to_now(settings.first_sale, settings.zone).read(creacion)
    except ValueError as error:
        raise invalid("creacion", str(error)) from None


def _today(request: Request) -> Span:
    zone = request.services.settings.zone
    today = datetime.now(zone).date()
    return midnight(today, zone), end_of(today, zone) or datetime.max.replace(tzinfo=UTC)


async def _refuse_another_day(request: Request, id: int, made: Span) -> None:
    """Raises Problem 403 if that is why a sale was not changed."""
    found = await ventas.by_id(request.db, id, owner(request.caller))
    if found and not made[0] <= moment(str(found.venta.creacion), UTC) < made[1]:
        raise Problem(FORBIDDEN, "Solo un admin puede cambiar la fecha de una venta que no es de hoy")


def no_user(shown: str) -> Problem:
    return Problem(NO_USER, f"No existe el usuario con el id {shown}")


async def _page(request: Request, query: UserSalesQuery, usuario_id: int | None) -> Reply[list[Venta]]:
    chosen = filters(query, usuario_id, zone_of(request, query.zona))
    name = LIST + query.orden
    after = read_cursor(request, name, query.despues, SalePlace)
    async with reading(request.services, heavy=query.heavy) as db:
        found = await ventas_list.page(db, chosen, after=after, limit=query.limit + 1, orden=query.orden)
        total = None
        if query.total:
            total = await (ventas_list.count if query.total == "exacto" else ventas_list.estimate)(db, chosen)
    page = found[: query.limit]
    cursor = None
    if len(found) > len(page):
        cursor = make_cursor(request, name, SalePlace(page[-1].creacion, page[-1].id))
    return Reply(page, page_headers(request, cursor, total))


async def _seller(request: Request, id: int) -> int:
    """Whose sale the caller may change: their own; an admin's call asks whose it is, 0 when it is nobody's."""
    if not request.caller.admin:
        return request.caller.id
    found = await ventas.by_id(request.db, id, None)
    return found.venta.usuario_id if found else 0


def _check(change: Change, missing: str) -> None:
    if not change.found:
        raise Problem(NO_SALE, missing)
    if not change.changed:
        raise moved_on()
