"""Users: registering, what they may know of each other, and how they change."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import structs

from core.addresses import same_mailbox
from core.http.answers import Answered, Created, Reply
from core.http.conditional import condition, moved_on, tagged
from core.http.endpoint import endpoint
from core.http.request import Request, shown_id
from core.problems import (
    CROWDED,
    FORBIDDEN,
    LAST_ADMIN,
    MOVED_ON,
    NO_USER,
    TAKEN,
    THROTTLED,
    WRONG_PASSWORD,
    ConstraintViolated,
    Problem,
    forbidden,
)
from handlers import throttle, verification
from handlers.own_password import record_refusal, verified, wrong_password
from handlers.password_rules import check_password
from handlers.usuarios_bodies import ADMINS, NewUser, UserChanges, WholeUser, columns_of
from sql import eliminaciones, usuarios, usuarios_change, usuarios_deletion, usuarios_new
from sql.usuarios import Perfil, Publico
from sql.usuarios_change import Verdict

TAG = "users"

log = logging.getLogger("ventas")

CREATED = "Usuario creado correctamente"
UPDATED = Answered("Usuario actualizado correctamente")
DELETED = Answered("Usuario eliminado correctamente")


@endpoint(
    status=201,
    public=True,
    location="/user/{id}",
    problems=[TAKEN, THROTTLED, CROWDED],
    example=Created(CREATED, 7),
)
async def create(request: Request, new: NewUser) -> Created:
    """Register a user.

    `username` and `correo` are unique, whatever their letter case. While there is no admin, and where the server is
    set so, the new user becomes one."""
    services = request.services
    columns = columns_of(new)
    check_password(services.settings, new.password, columns["username"], columns["correo"])
    address = throttle.network(request)
    async with services.registrations.turn(address):
        await throttle.registration(request)
        with _taken("Error creando usuario"):
            await usuarios_new.refuse_taken(request.db, columns["username"], columns["correo"])
            columns["password"] = await services.passwords.hash(new.password, address)
            async with services.db.transaction() as tx:
                user = await usuarios_new.insert(
                    tx, request.origin, first_admin=_first_admin(request), **columns
                )
                await verification.mail(services, tx, user.id)
    if user.rol == "admin":
        log.warning("user %s is admin: the first to register (FIRST_ADMIN=register)", user.id)
    return Created(CREATED, user.id)


@endpoint(problems=[FORBIDDEN, NO_USER], etag=True)
async def show(request: Request, id: int) -> Reply[Publico]:
    """Read a user.

    Oneself; an admin reads anyone."""
    _allow(request, id)
    found = await usuarios.by_id(request.db, id)
    if found is None:
        raise Problem(NO_USER, f"No existe el usuario con el id {shown_id(request)}")
    return tagged(request, found.usuario.id, found.version, found.usuario)


@endpoint(problems=[NO_USER], etag=True)
async def show_me(request: Request) -> Reply[Perfil]:
    """Read one's own profile.

    All that is kept of oneself, but for the password."""
    found = await usuarios.profile(request.db, request.caller.id)
    if found is None:
        raise Problem(NO_USER, f"No existe el usuario con el id {request.caller.id}")
    return tagged(request, found.usuario.id, found.version, found.usuario)


@endpoint(
    problems=[FORBIDDEN, WRONG_PASSWORD, NO_USER, TAKEN, LAST_ADMIN, MOVED_ON, THROTTLED, CROWDED],
    example=UPDATED,
)
async def update(request: Request, id: int, changes: UserChanges) -> Answered:
    """Change some fields of a user.

    Oneself; an admin changes anyone, and nobody else sets `rol`, `estado` or `bloqueado`. One's own `password` or
    `correo` changes only with `password_actual`, and ends one's other sessions. The last admin stays one."""
    await _allow_change(request, id)
    return await _update(request, id, shown_id(request), changes)


@endpoint(
    problems=[FORBIDDEN, WRONG_PASSWORD, NO_USER, TAKEN, LAST_ADMIN, MOVED_ON, THROTTLED, CROWDED],
    example=UPDATED,
)
async def update_me(request: Request, changes: UserChanges) -> Answered:
    """Change some fields of one's own.

    `password` and `correo` change only with `password_actual`, which ends one's other sessions."""
    return await _update(request, request.caller.id, str(request.caller.id), changes)


@endpoint(
    problems=[FORBIDDEN, WRONG_PASSWORD, NO_USER, TAKEN, LAST_ADMIN, MOVED_ON, THROTTLED, CROWDED],
    example=UPDATED,
)
async def replace(request: Request, id: int, whole: WholeUser) -> Answered:
    """Replace a user.

    As a change of some fields, but with every required one; a `direccion` that is left out is removed."""
    await _allow_change(request, id)
    return await _update(request, id, shown_id(request), whole)


@endpoint(problems=[FORBIDDEN, NO_USER, LAST_ADMIN, MOVED_ON], example=DELETED)
async def remove(request: Request, id: int) -> Answered:
    """Delete a user, with their sales.

    Oneself; an admin deletes anyone, but for the last admin while there are other users. It cannot be undone."""
    await _allow_change(request, id)
    return await _remove(request, id, shown_id(request))


@endpoint(problems=[NO_USER, LAST_ADMIN, MOVED_ON], example=DELETED)
async def remove_me(request: Request) -> Answered:
    """Delete oneself, with one's sales.

    It cannot be undone."""
    return await _remove(request, request.caller.id, str(request.caller.id))


async def _update(request: Request, id: int, shown: str, changes: UserChanges | WholeUser) -> Answered:
    services, caller = request.services, request.caller
    columns = columns_of(changes)
    reserved = sorted(columns.keys() & ADMINS)
    if reserved and not caller.admin:
        await record_refusal(request, id, reserved)
        raise Problem(FORBIDDEN, "Solo un admin puede cambiar rol, estado o bloqueado")
    missing = f"No existe el usuario con el id {shown} por lo tanto no se puede actualizar"
    hashed, same_as, mails = None, None, False
    if columns.keys() & {"password", "correo"}:
        known = await usuarios.credentials_by_id(request.db, id)
        if known is None:
            raise Problem(NO_USER, missing)
        now = structs.asdict(known) | columns
        if "password" in columns:
            check_password(services.settings, columns["password"], now["username"], now["correo"])
        new_correo = not same_mailbox(now["correo"], known.correo)
        if "correo" in columns and not new_correo:
            same_as = known.correo
        if id == caller.id and ("password" in columns or new_correo):
            hashed = await verified(request, known, changes.password_actual)
        if "password" in columns:
            address = throttle.network(request)
            columns["password"] = await services.passwords.hash(columns["password"], address)
        differs = now["correo"].lower() != known.correo.lower()
        mails = new_correo and differs and not caller.admin
    if mails:
        await throttle.verification(request, id)
    with _taken("Error actualizando usuario"):
        verdict = await usuarios_change.update(
            request.db,
            id,
            columns,
            request.origin,
            condition=condition(request.scope, id),
            verified=hashed,
            same_as=same_as,
            keep_session=caller.session,
            vouched=caller.admin,
            notice=services.mail is not None,
        )
    services.known.forget(id)
    _check(verdict, missing)
    if mails:
        await verification.mail(services, request.db, id)
    if services.mail:
        services.mail.waiting.set()
    return UPDATED


async def _remove(request: Request, id: int, shown: str) -> Answered:
    itself = request.caller.admin and request.caller.id == id
    large = await eliminaciones.large(request.services.db, id)
    verdict = await usuarios_deletion.delete(
        request.db,
        id,
        request.origin,
        condition=condition(request.scope, id),
        first_admin=itself and _first_admin(request),
        sql=eliminaciones.START if large else usuarios_deletion.DELETE,
    )
    request.services.known.forget(id)
    _check(verdict, f"No existe el usuario con el id {shown} por lo tanto no se elimina")
    return DELETED


def _first_admin(request: Request) -> bool:
    return request.services.settings.first_admin == "register"


def _allow(request: Request, id: int) -> None:
    """An ordinary user may name only their own id, whether or not another exists."""
    if not request.caller.admin and request.caller.id != id:
        raise forbidden()


async def _allow_change(request: Request, id: int) -> None:
    """As _allow; an attempt to change another is recorded."""
    if not request.caller.admin and request.caller.id != id:
        await record_refusal(request, id, [])
    _allow(request, id)


def _check(verdict: Verdict, missing: str) -> None:
    match verdict:
        case "missing":
            raise Problem(NO_USER, missing)
        case "moved_on":
            raise moved_on()
        case "last_admin":
            detail = "Es el último admin: nombre a otro antes de quitarle el rol, bloquearlo o eliminarlo"
            raise Problem(LAST_ADMIN, detail)
        case "wrong_password":
            raise wrong_password()


@contextmanager
def _taken(beginning: str) -> Iterator[None]:
    """A taken username or correo, told as the failure of what was tried."""
    try:
        yield
    except ConstraintViolated as violated:
        if violated.kind is TAKEN:
            raise Problem(TAKEN, f"{beginning}: {violated.detail}") from None
        raise
