"""API keys: what tills and scripts have instead of a password."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from core.auth import api_keys
from core.auth.api_keys import Ambito, ApiKey
from core.http.answers import Answered, Reply
from core.http.endpoint import endpoint
from core.http.request import Request, shown_id
from core.instants import WrittenInstant, rfc3339, utc
from core.problems import (
    CROWDED,
    NO_KEY,
    THROTTLED,
    TOO_MANY_KEYS,
    WRONG_PASSWORD,
    Problem,
    invalid,
)
from handlers.fields import Nombre, trimmed
from handlers.idempotency import once
from handlers.keyset_pages import PageQuery, make_cursor, page_headers, read_cursor
from handlers.own_password import OwnPassword, confirmed, with_password
from handlers.sesiones import NEWEST
from sql import llaves
from sql.llaves import Llave

LIST = "llaves"
CREATED = "Llave creada correctamente; guárdela, no se vuelve a mostrar"
REVOKED = Answered("Llave revocada correctamente")
LONGEST = timedelta(days=5 * 366)
USUAL = timedelta(days=365)

Ambitos = Annotated[
    list[Ambito],
    Meta(min_length=1, max_length=2, extra={"mensaje": "una lista con ventas:leer, ventas:crear o ambos"}),
]


class NewLlave(OwnPassword, frozen=True):
    """A key; without `expira` it ends after a year, and after five at the latest."""

    EXAMPLE: ClassVar = {
        "nombre": "Caja 2",
        "ambitos": ["ventas:crear"],
        "password_actual": "una frase larga",
    }

    nombre: Nombre
    ambitos: Ambitos
    expira: Annotated[datetime, Meta(tz=True, extra_json_schema={"format": "date-time"})] | None = None


class CreatedLlave(Struct, frozen=True):
    """A new key: `llave` is what goes into `Authorization: Bearer`, and is not shown again."""

    respuesta: str
    id: int
    llave: str
    expira: WrittenInstant


@endpoint()
async def index(request: Request, query: PageQuery) -> Reply[list[Llave]]:
    """List one's API keys, newest first.

    Those that have ended stay for 90 days."""
    before = read_cursor(request, LIST, query.despues, int) or NEWEST
    found = await llaves.page(request.db, request.caller.id, before=before, limit=query.limit + 1)
    page = found[: query.limit]
    cursor = make_cursor(request, LIST, page[-1].id) if len(found) > len(page) else None
    return Reply(page, page_headers(request, cursor, None))


@endpoint(
    status=201,
    problems=[WRONG_PASSWORD, TOO_MANY_KEYS, THROTTLED, CROWDED],
    secret=True,
    example=CreatedLlave(CREATED, 5, "ven_…", rfc3339(datetime(2027, 11, 27, tzinfo=UTC))),
)
@with_password
@once
async def create(request: Request, new: NewLlave) -> CreatedLlave:
    """Make an API key.

    It reads or records its owner's sales, as its scopes say, and nothing else."""
    services, owner = request.services, confirmed(request)
    expira = _end(new.expira)
    ambitos = sorted(set(new.ambitos))
    rights = api_keys.new_rights(expira, ambitos)
    id = await llaves.insert(
        request.db,
        owner.id,
        request.origin,
        nombre=trimmed(new.nombre),
        ambitos=ambitos,
        huella=ApiKey(owner.id, 0, rights).huella,
        expira=expira,
        verified=owner.password,
        notice=services.mail is not None,
    )
    if id is None:
        raise Problem(TOO_MANY_KEYS, f"Ya tiene {llaves.MOST} llaves: revoque las que no use")
    if services.mail:
        services.mail.waiting.set()
    return CreatedLlave(CREATED, id, ApiKey(owner.id, id, rights).encode(), rfc3339(expira))


@endpoint(problems=[WRONG_PASSWORD, NO_KEY, THROTTLED, CROWDED], example=REVOKED)
@with_password
async def remove(request: Request, id: int, sent: OwnPassword) -> Answered:
    """Revoke an API key.

    It stops working within a second."""
    services, owner = request.services, confirmed(request)
    revoked = await llaves.revoke(
        request.db,
        owner.id,
        request.origin,
        id=id,
        verified=owner.password,
        notice=services.mail is not None,
        reversible=True,
    )
    services.known.forget(owner.id)
    if not revoked:
        raise Problem(NO_KEY, f"No existe la llave con el id {shown_id(request)}")
    if services.mail:
        services.mail.waiting.set()
    return REVOKED


def _end(asked: datetime | None) -> datetime:
    """When a key ends, to the second. Raises Problem 422 when that is not in the next five years."""
    now = datetime.now(UTC)
    with suppress(ValueError):  # of a year that is none in UTC
        end = utc(asked or now + USUAL, UTC).replace(microsecond=0)
        if now < end <= now + LONGEST:
            return end
    raise invalid("expira", "debe ser un momento de los próximos 5 años")
