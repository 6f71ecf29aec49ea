"""All that is kept about oneself, in one answer (GDPR, articles 15 and 20)."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from msgspec import Struct, structs

from core.http.answers import encode
from core.http.endpoint import endpoint
from core.http.request import Request
from core.http.streams import Download
from core.problems import CROWDED, NO_USER, Problem
from handlers.sesiones import NEWEST
from sql import auditoria, factores, llaves, sesiones, usuarios
from sql.auditoria import AuditFilters, AuditPlace, Registro
from sql.factores import FactorState
from sql.llaves import MOST, Llave
from sql.sesiones import StoredSession
from sql.usuarios import Perfil

PAGE = 1000


class Datos(Struct, frozen=True):
    """What is kept of a user. `ventas` is where their sales are exported; `auditoria` is what they did, and then what
    others did to them."""

    perfil: Perfil
    ventas: str
    factor: FactorState
    llaves: list[Llave]
    sesiones: list[StoredSession]
    auditoria: list[Registro]


@endpoint(produces={"application/json": Datos}, problems=[NO_USER, CROWDED])
async def show(request: Request) -> Download:
    """Read all that is kept about oneself.

    Profile, second factor, API keys, sessions and audit, without the secrets; the sales are a link to their export."""
    longest = request.services.settings.transfer_max_seconds
    return Download(_blocks(request), media="application/json", filename="datos.json", longest=longest)


async def _blocks(request: Request) -> AsyncGenerator[bytes, None]:
    db, id = request.services.db, request.caller.id
    async with request.services.transfers.turn(id):
        found = await usuarios.profile(db, id)
        if found is None:
            raise Problem(NO_USER, f"No existe el usuario con el id {id}")
        sales = f"{request.prefix}/venta/exportar?usuario_id={id}"
        yield b'{"perfil":%b,"ventas":%b' % (encode(found.usuario), encode(sales))
        state = await factores.state(db, id)
        keys = await llaves.page(db, id, before=NEWEST, limit=MOST)
        yield b',"factor":%b,"llaves":%b,"sesiones":' % (encode(state), encode(keys))
        async with aclosing(_array(_sessions(request))) as blocks:
            async for block in blocks:
                yield block
        yield b',"auditoria":'
        async with aclosing(_array(_records(request))) as blocks:
            async for block in blocks:
                yield block
        yield b"}"


async def _array(pages: AsyncIterator[list[Any]]) -> AsyncGenerator[bytes, None]:
    """The pages as one array of JSON."""
    between = b"["
    async for page in pages:
        if page:
            yield between + encode(page)[1:-1]
            between = b","
    yield b"[]" if between == b"[" else b"]"


async def _sessions(request: Request) -> AsyncIterator[list[StoredSession]]:
    before = NEWEST
    while page := await sesiones.kept(request.services.db, request.caller.id, before=before, limit=PAGE):
        yield page
        before = page[-1].id


async def _records(request: Request) -> AsyncIterator[list[Registro]]:
    """What the caller did, without the values of others; what others did to them, without where those were."""
    id = request.caller.id
    async for page in _pages(request, AuditFilters(usuario_id=id)):
        yield [
            record if record.afectado_id in (id, None) else structs.replace(record, antes=None, despues=None)
            for record in page
        ]
    async for page in _pages(request, AuditFilters(afectado_id=id)):
        yield [
            record
            if record.usuario_id is None
            else structs.replace(record, direccion="", agente="", peticion="")
            for record in page
            if record.usuario_id != id
        ]


async def _pages(request: Request, filters: AuditFilters) -> AsyncIterator[list[Registro]]:
    after = None
    while page := await auditoria.page(request.services.db, filters, after=after, limit=PAGE):
        yield page
        after = AuditPlace(page[-1].creacion, page[-1].id)
