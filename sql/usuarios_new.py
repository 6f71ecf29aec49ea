"""Statements that add a row to usuario (migrations/0001_create_usuario.sql)."""

from msgspec import Struct, structs

from core.addresses import spellings
from core.caller import Origin, Rol
from core.database.database import Runner
from core.database.executors import Transaction
from core.problems import violated
from sql import avisos


class Registered(Struct, frozen=True):
    """A new user's id, and the rol that they have."""

    id: int
    rol: Rol


LOCK_FIRST_ADMIN = """
-- usuarios_new.lock_first_admin: registrations take turns while the first of them becomes admin; uses no index
SELECT pg_advisory_xact_lock(727001)
"""

VALORES = """jsonb_build_object(
               'username', u.username, 'nombre', u.nombre, 'apellido', u.apellido, 'direccion', u.direccion,
               'telefono', u.telefono, 'correo', u.correo, 'estado', u.estado, 'rol', u.rol,
               'bloqueado', u.bloqueado)"""

# As columns: on a sharded cluster RETURNING calls no function that is not immutable.
RETURNED = (
    "u.id, u.username, u.nombre, u.apellido, u.direccion, u.telefono, u.correo, u.estado, u.rol, u.bloqueado"
)

INSERT = f"""
-- usuarios_new.insert: a new user, recorded; admin if asked to be the first one and none is yet; uses usuario_rol_idx
WITH created AS (
    INSERT INTO usuario AS u (username, password, nombre, apellido, direccion, telefono, correo, estado, rol)
    SELECT %(username)s, %(password)s, %(nombre)s, %(apellido)s, %(direccion)s, %(telefono)s, %(correo)s, %(estado)s,
           CASE WHEN %(first_admin)s AND NOT EXISTS (SELECT 1 FROM usuario WHERE rol = 'admin')
                THEN 'admin' ELSE %(rol)s END
    RETURNING {RETURNED}
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, despues)
    SELECT %(actor)s, 'usuario_creado', u.id, %(address)s, %(agent)s, %(request_id)s,
           {VALORES}
      FROM created AS u
)
SELECT id, rol
  FROM created
"""

TAKEN = """
-- usuarios_new.taken: the constraint that a new user would violate, before the password is hashed, which is dear;
-- uses usuario_username_key, usuario_correo_key
SELECT CASE WHEN lower(username COLLATE minusculas) = lower(%(username)s COLLATE minusculas)
            THEN 'usuario_username_key' ELSE 'usuario_correo_key' END
  FROM usuario
 WHERE lower(username COLLATE minusculas) = lower(%(username)s COLLATE minusculas)
    OR lower(correo COLLATE minusculas) = lower(%(correo)s COLLATE minusculas)
 LIMIT 1
"""

SPELLED = """
-- usuarios_new.spelled: whether another user has a correo in this spelling, kept before domains had one form;
-- uses usuario_correo_key
SELECT EXISTS (SELECT 1
                 FROM usuario
                WHERE lower(correo COLLATE minusculas) = lower(%(correo)s COLLATE minusculas)
                  AND id <> %(id)s)
"""


async def insert(
    db: Runner,
    origin: Origin,
    *,
    first_admin: bool,
    rol: Rol = "usuario",
    estado: bool = False,
    correo: str,
    **columns: str | None,
) -> Registered:
    """The new user. Raises ConstraintViolated when the username or the correo is taken."""
    parameters = structs.asdict(origin) | columns
    parameters |= {"first_admin": first_admin, "rol": rol, "estado": estado, "correo": correo}
    async with db.transaction() as tx:
        if first_admin:
            await tx.run(LOCK_FIRST_ADMIN)
        registered = await tx.one(Registered, INSERT, **parameters)
        assert registered is not None  # noqa: S101 - INSERT … RETURNING gives a row or raises
        await refuse_others(tx, correo, registered.id)
    return registered


async def refuse_taken(db: Runner, username: str, correo: str) -> None:
    """Raises ConstraintViolated when the username or the correo is taken already.

    insert refuses a name that is taken after this."""
    for spelling in spellings(correo):
        if constraint := await db.one(str, TAKEN, username=username, correo=spelling):
            raise violated(constraint)


async def refuse_others(tx: Transaction, correo: str, id: int) -> None:
    """Raises ConstraintViolated when another user than `id` had this correo until lately and may still take it back, or
    has it in a spelling that the unique index does not know as the same."""
    for spelling in spellings(correo):
        await avisos.refuse_reserved(tx, spelling, id)
        if spelling != correo and await tx.one(bool, SPELLED, correo=spelling, id=id):
            raise violated("usuario_correo_key")
