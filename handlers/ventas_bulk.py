"""Sales by the thousand: batches as JSON, imports and exports of files of any length."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from functools import wraps
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, structs

from core.files.dialect import CHARSETS, Decimal, Dialect, Fecha, Formato
from core.files.reading import Reader
from core.files.refusals import InvalidFile
from core.files.spool import ahead, kept
from core.files.writing import dressed
from core.http.answers import CreatedMany, Reply
from core.http.endpoint import endpoint
from core.http.forms import FORM_DATA, FormFile
from core.http.request import Request
from core.http.standing import look_again, while_standing
from core.http.streams import Download, Stream
from core.http.validation import MAX_ERRORS, Error, Query
from core.instants import Dates
from core.problems import CROWDED, FORBIDDEN, WRONG_MEDIA, Problem, invalid_fields
from core.process.services import Services
from handlers.days import Zona, zone_of
from handlers.idempotency import Handler, once
from handlers.read_database import up_to_date
from handlers.ventas import NewVenta
from handlers.ventas_filters import ExportQuery, filters, whose
from sql import ventas, ventas_export, ventas_import
from sql.ventas_import import Renglon, Terms
from sql.ventas_list import SaleFilters

TAG = "bulk"

NDJSON = "application/x-ndjson"
SHEET = "venta,ventas_productos\n150000,3\n99900,1\n"
EXAMPLES: dict[str, str | dict[str, str]] = {
    "text/csv": SHEET,
    NDJSON: '{"venta": 150000, "ventas_productos": 3}\n',
    "application/vnd.ms-excel": SHEET,
    "text/tab-separated-values": "venta\tventas_productos\n150000\t3\n",
    "application/octet-stream": SHEET,
    FORM_DATA: {"archivo": SHEET},
}
PRODUCES: dict[Formato, str] = {"csv": "text/csv", "ndjson": NDJSON}
NDJSON_NAMES = (".ndjson", ".jsonl")
CREATED = "Ventas creadas correctamente"
IMPORTED = "Ventas importadas correctamente"
GLANCE = 64 * 1024  # bytes of a file that are looked at before the rest comes

Batch = Annotated[list[NewVenta], Meta(max_length=10_000)]


class ImportQuery(Query, frozen=True):
    """How to import."""

    simular: Annotated[bool, Meta(description="check the whole file, and keep nothing")] = False
    zona: Zona = None
    decimal: Annotated[
        Decimal | None,
        Meta(description="amounts are in units, with this decimal mark (`1.500,00`), and not in whole cents"),
    ] = None
    fecha: Annotated[
        Fecha | None, Meta(description="dates are day, month, year (`31/01/2026 22:15`) or month, day, year")
    ] = None


class Imported(Struct, frozen=True):
    """How many sales the file has."""

    respuesta: str
    filas: int


@endpoint(status=201, ambito="ventas:crear", large=True, example=CreatedMany(CREATED, [9, 10]))
@once
async def create_many(request: Request, batch: Batch) -> CreatedMany:
    """Record up to 10,000 sales: all of them, or none.

    An error names each bad row by its `indice`, which counts from 0; the first 100."""
    sellers = [new.usuario_id or request.caller.id for new in batch]
    if not request.caller.admin:
        _refuse_rows(
            [n for n, seller in enumerate(sellers) if seller != request.caller.id], "debe ser el suyo"
        )
    columns = sellers, [new.venta for new in batch], [new.ventas_productos for new in batch]
    inserted = await ventas.insert_many(request.db, *columns)
    _refuse_rows([row.indice for row in inserted if row.id is None], "no existe el usuario con ese id")
    return CreatedMany(CREATED, [row.id for row in inserted if row.id is not None])


def whole(handler: Handler) -> Handler:
    """Runs a handler once its `file` is here: until then no connection is taken, and no key or row claimed.

    The handler's `request.db` is a transfer's. Raises Problem: 408, 413, 422, 429 and 503."""

    @wraps(handler)
    async def patient(request: Request, file: Stream, query: ImportQuery) -> Any:
        services = request.services
        async with AsyncExitStack() as stack:
            async with while_standing(request.scope):
                await stack.enter_async_context(services.transfers.turn(request.caller.id))
                arriving = kept(_looked_at(request, file, query), services.disk)
                file.kept = await stack.enter_async_context(arriving)
            request.scope["db"] = await stack.enter_async_context(services.db.work("transfers"))
            return await handler(request, file=file, query=query)

    return patient


@endpoint(
    status=201,
    ambito="ventas:crear",
    also=[200],
    problems=[CROWDED],
    media=EXAMPLES,
    example=Imported(IMPORTED, 2),
)
@whole
@once
async def load(request: Request, file: Stream, query: ImportQuery) -> Reply[Imported]:
    """Import sales from a CSV or NDJSON file of any length: all of them, or none.

    A CSV begins with a header, its columns in any order: `venta`, `ventas_productos` and, if wanted,
    `usuario_id` and `creacion`; so does each line of NDJSON have these members. An `id`, as exports have, is
    ignored. An error names each bad line by its `linea`, which counts from 1; the first 100.

    A CSV may be what a spreadsheet saves: separated by comma, `;` or tab; in UTF-8, UTF-16 or the `charset` of
    its Content-Type. `decimal` and `fecha` say how it writes amounts and dates: nothing is guessed. It is the body,
    or the `archivo` of a form."""
    reader, terms = _reading(request, file, query)
    async with request.db.transaction() as tx:
        try:
            async with while_standing(request.scope):
                loaded = await ventas_import.load(
                    tx.connection,
                    aiter(file),
                    reader,
                    terms,
                    simulate=query.simular,
                    most_rows=request.services.settings.transfer_max_rows,
                )
            await look_again(request.scope)  # before COMMIT
        except InvalidFile as error:
            raise _invalid(error) from None
    if query.simular:
        return Reply(Imported("El archivo es válido; no se guardó nada", loaded.filas), status=200)
    return Reply(Imported(IMPORTED, loaded.filas))


async def _looked_at(request: Request, file: Stream, query: ImportQuery) -> AsyncIterator[bytes]:
    """The file as it arrives; one that begins badly is refused before the rest of it comes."""
    beginning: bytearray | None = bytearray()
    async for chunk in file:
        if beginning is not None:
            beginning += chunk
            if len(beginning) >= GLANCE or file.whole:
                await _glance(request, file, query, bytes(beginning))
                beginning = None
        yield chunk


async def _glance(request: Request, file: Stream, query: ImportQuery, beginning: bytes) -> None:
    try:
        await ventas_import.glance(beginning, *_reading(request, file, query))
    except InvalidFile as error:
        raise _invalid(error) from None


def _invalid(error: InvalidFile) -> Problem:
    return invalid_fields([structs.asdict(wrong) for wrong in error.errores])


def _reading(request: Request, file: Stream, query: ImportQuery) -> tuple[Reader[Renglon], Terms]:
    """What reads a file, and what it may bring. Raises Problem 415 and 422."""
    settings, zone = request.services.settings, zone_of(request, query.zona)
    terms = Terms(request.caller.id, request.caller.admin, Dates.up_to_now(settings.first_sale, zone))
    return ventas_import.open_renglones(*_read_as(file, query, zone)), terms


@endpoint(ambito="ventas:leer", produces=list(PRODUCES.values()), problems=[FORBIDDEN, CROWDED])
async def export(request: Request, query: ExportQuery) -> Download:
    """Export sales as CSV or NDJSON, oldest first; what is exported can be imported again.

    The filters are those of the list. `separador`, `decimal`, `fecha` and `bom` are for the spreadsheet that will open
    a CSV; to import it again, say the same `decimal`, `fecha` and `zona`."""
    zone = zone_of(request, query.zona)
    chosen = filters(query, whose(request.caller, query.usuario_id), zone)
    dialect = Dialect(
        separador=query.separador or "coma",
        decimal=query.decimal,
        fecha=query.fecha,
        zone=zone,
        bom=query.bom == "si",
    )
    _refuse_in_ndjson(query.formato, query, "separador", "decimal", "fecha", "bom")
    blocks = _blocks(request.services, request.caller.id, chosen, query.formato)
    longest = request.services.settings.transfer_max_seconds
    media, filename = PRODUCES[query.formato], f"ventas.{query.formato}"
    return Download(dressed(blocks, Renglon, dialect), media=media, filename=filename, longest=longest)


def _read_as(file: Stream, query: ImportQuery, zone: ZoneInfo) -> tuple[Formato, Dialect]:
    """The format and dialect that a request says its file has. Raises Problem 415 and 422."""
    named_ndjson = isinstance(file, FormFile) and file.suffix in NDJSON_NAMES
    formato: Formato = "ndjson" if named_ndjson or file.media == NDJSON else "csv"
    _refuse_in_ndjson(formato, query, "decimal", "fecha")
    charset = file.charset or "utf-8"
    if charset not in CHARSETS:
        raise Problem(WRONG_MEDIA, f"El charset debe ser uno de: {', '.join(CHARSETS)}")
    return formato, Dialect(charset=charset, decimal=query.decimal, fecha=query.fecha, zone=zone, say=_said)


def _said(name: str, value: str) -> str:
    return f"{name}={value}{' en el Content-Type' if name == 'charset' else ''}"


def _refuse_in_ndjson(formato: Formato, query: Query, *names: str) -> None:
    said = [name for name in names if getattr(query, name) is not None]
    if formato == "ndjson" and said:
        raise invalid_fields([{"campo": name, "mensaje": "es solo para CSV"} for name in said])


async def _blocks(
    services: Services, account: int, chosen: SaleFilters, formato: Formato
) -> AsyncGenerator[bytes, None]:
    """The file as the client takes it; the database has given it before, as far as there is room on disk."""
    async with (
        services.transfers.turn(account),
        aclosing(ahead(_exported(services, chosen, formato), services.disk)) as blocks,
    ):
        async for block in blocks:
            yield block


async def _exported(services: Services, chosen: SaleFilters, formato: Formato) -> AsyncGenerator[bytes, None]:
    db = await up_to_date(services)
    async with (
        db.work("transfers") as work,
        work.transaction() as tx,
        aclosing(ventas_export.export(tx.connection, chosen, formato)) as blocks,
    ):
        async for block in blocks:
            yield block


def _refuse_rows(indices: list[int], mensaje: str) -> None:
    if indices:
        errores: list[Error] = [
            {"indice": n, "campo": "usuario_id", "mensaje": mensaje} for n in indices[:MAX_ERRORS]
        ]
        raise invalid_fields(errores)
