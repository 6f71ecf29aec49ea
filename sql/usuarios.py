"""Statements on usuario (migrations/0001_create_usuario.sql)."""

from collections.abc import Mapping

from msgspec import Struct, structs

from core.caller import Origin, Rol
from core.condition import ALWAYS, Condition
from core.database.database import Database, Pooled, Transaction
from core.instants import Instant
from sql.auditoria import Accion

Runner = Database | Pooled | Transaction

COLUMNS = ("username", "password", "nombre", "apellido", "direccion", "telefono", "correo", "estado", "rol")


class Publico(Struct, frozen=True):
    """What others may know of a user."""

    id: int
    username: str
    nombre: str
    apellido: str
    correo: str


class Perfil(Publico, frozen=True):
    """What a user may know of themselves; times are UTC."""

    direccion: str | None
    telefono: str
    estado: bool
    rol: Rol
    creacion: Instant
    actualizacion: Instant


class Credenciales(Struct, frozen=True):
    id: int
    password: str
    rol: Rol
    estado: bool


class Versioned(Struct, frozen=True):
    """A public user and the version of their row, which their ETag carries."""

    version: int
    usuario: Publico

    @staticmethod
    def of(version: int, *columns: object) -> "Versioned":
        return Versioned(version, Publico(*columns))  # type: ignore[arg-type]


class Own(Struct, frozen=True):
    version: int
    usuario: Perfil

    @staticmethod
    def of(version: int, *columns: object) -> "Own":
        return Own(version, Perfil(*columns))  # type: ignore[arg-type]


class Change(Struct, frozen=True):
    """How a conditional change ended: was there a row, and did it still have the version asked for."""

    found: bool
    changed: bool

    @staticmethod
    def of(found: bool, changed: bool, told: object) -> "Change":
        """Leaves out that every process was told."""
        return Change(found, changed)


NO_CHANGE = Change(found=False, changed=False)

LOCK_FIRST_ADMIN = """
-- usuarios.lock_first_admin: registrations take turns while the first of them becomes admin; uses no index
SELECT pg_advisory_xact_lock(727001)
"""

LOCK = """
-- usuarios.lock: makes the logins of a user wait, so that the next statement sees every session; uses usuario_pkey
SELECT id
  FROM usuario
 WHERE id = %(id)s
   FOR NO KEY UPDATE
"""

VALORES = """jsonb_build_object(
               'username', u.username, 'nombre', u.nombre, 'apellido', u.apellido, 'direccion', u.direccion,
               'telefono', u.telefono, 'correo', u.correo, 'estado', u.estado, 'rol', u.rol)"""

# As columns: on a sharded cluster RETURNING calls no function that is not immutable.
RETURNED = "u.id, u.username, u.nombre, u.apellido, u.direccion, u.telefono, u.correo, u.estado, u.rol"

INSERT = f"""
-- usuarios.insert: a new user, recorded; admin if asked to be the first one and none is yet; uses usuario_rol_idx
WITH created AS (
    INSERT INTO usuario AS u (username, password, nombre, apellido, direccion, telefono, correo, estado, rol)
    SELECT %(username)s, %(password)s, %(nombre)s, %(apellido)s, %(direccion)s, %(telefono)s, %(correo)s, %(estado)s,
           CASE WHEN %(first_admin)s AND NOT EXISTS (SELECT FROM usuario WHERE rol = 'admin')
                THEN 'admin' ELSE %(rol)s END
    RETURNING {RETURNED}
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, despues)
    SELECT %(actor)s, 'usuario_creado', u.id, %(address)s, %(agent)s, %(request_id)s,
           {VALORES}
      FROM created AS u
)
SELECT id
  FROM created
"""

BY_ID = """
-- usuarios.by_id: each asked public user; uses usuario_pkey
SELECT asked.n, u.version, u.id, u.username, u.nombre, u.apellido, u.correo
  FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)
  JOIN usuario AS u ON u.id = asked.id
"""

PROFILE = """
-- usuarios.profile: each asked user's own data; uses usuario_pkey
SELECT asked.n, u.version, u.id, u.username, u.nombre, u.apellido, u.correo,
       u.direccion, u.telefono, u.estado, u.rol, u.creacion, u.actualizacion
  FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)
  JOIN usuario AS u ON u.id = asked.id
"""

CREDENTIALS = """
-- usuarios.credentials: who logs in by username or correo (no username has an @);
-- uses usuario_username_key, usuario_correo_key
SELECT id, password, rol, estado
  FROM usuario
 WHERE lower(username) = lower(%(name)s)
    OR lower(correo) = lower(%(name)s)
"""

CREDENTIALS_BY_ID = """
-- usuarios.credentials_by_id: the hash that a change of one's own password is checked against; uses usuario_pkey
SELECT id, password, rol, estado
  FROM usuario
 WHERE id = %(id)s
"""

UPDATE = f"""
-- usuarios.update: changes what was sent and records it, ends the sessions that it must, tells every process;
-- uses usuario_pkey, sesion_pkey
WITH target AS (
    SELECT u.id, u.version, u.rol, u.estado, {VALORES} AS valores
      FROM usuario AS u
     WHERE u.id = %(id)s
       FOR NO KEY UPDATE
), changed AS (
    UPDATE usuario AS u
       SET username      = coalesce(%(username)s, u.username),
           password      = coalesce(%(password)s, u.password),
           nombre        = coalesce(%(nombre)s, u.nombre),
           apellido      = coalesce(%(apellido)s, u.apellido),
           direccion     = CASE WHEN %(sets_direccion)s THEN %(direccion)s ELSE u.direccion END,
           telefono      = coalesce(%(telefono)s, u.telefono),
           correo        = coalesce(%(correo)s, u.correo),
           estado        = coalesce(%(estado)s, u.estado AND (
                               %(vouched)s OR lower(u.correo) = lower(coalesce(%(correo)s, u.correo)))),
           rol           = coalesce(%(rol)s, u.rol),
           actualizacion = now(),
           version       = u.version + 1
      FROM target
     WHERE u.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR target.version = ANY (%(versions)s))
       AND target.version <> ALL (%(others)s::bigint[])
    RETURNING {RETURNED},
              u.rol <> target.rol AS new_rol,
              %(password)s::text IS NOT NULL OR (target.estado AND %(estado)s IS FALSE) AS ends,
              target.valores AS antes
), compared AS (
    SELECT u.id, u.antes, {VALORES} AS despues
      FROM changed AS u
), ended AS (
    UPDATE sesion AS s
       SET fin    = now(),
           expira = now()
      FROM changed
     WHERE changed.ends
       AND s.usuario_id = changed.id
       AND s.id <> %(keep)s
       AND s.fin IS NULL
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes, despues)
    SELECT %(actor)s, %(accion)s, new.id, %(address)s, %(agent)s, %(request_id)s,
           jsonb_object_agg(old.key, old.value) FILTER (WHERE old.key IS NOT NULL),
           coalesce(jsonb_object_agg(old.key, new.despues -> old.key) FILTER (WHERE old.key IS NOT NULL), '{{}}')
           || CASE WHEN %(password)s::text IS NULL THEN '{{}}' ELSE '{{"password": "***"}}' END::jsonb
      FROM compared AS new
      LEFT JOIN LATERAL jsonb_each(new.antes) AS old (key, value) ON old.value <> new.despues -> old.key
     GROUP BY new.id
)
SELECT EXISTS (SELECT FROM target), EXISTS (SELECT FROM changed),
       (SELECT pg_notify('revocacion', id::text) FROM changed WHERE ends OR new_rol)
"""

DELETE = """
-- usuarios.delete: the user and, by cascade, their sales and sessions; recorded, and told to every process;
-- uses usuario_pkey, sesion_pkey, venta_pkey, idempotencia_pkey, enlace_pkey
WITH target AS (
    SELECT id, version, jsonb_build_object('username', username, 'correo', correo, 'rol', rol) AS valores
      FROM usuario
     WHERE id = %(id)s
       FOR UPDATE
), gone AS (
    DELETE FROM usuario AS u
     USING target
     WHERE u.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR target.version = ANY (%(versions)s))
       AND target.version <> ALL (%(others)s::bigint[])
    RETURNING u.id, target.valores
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes)
    SELECT %(actor)s, 'usuario_eliminado', id, %(address)s, %(agent)s, %(request_id)s, valores
      FROM gone
)
SELECT EXISTS (SELECT FROM target), EXISTS (SELECT FROM gone),
       (SELECT pg_notify('revocacion', id::text) FROM gone)
"""


async def insert(
    db: Runner,
    origin: Origin,
    *,
    first_admin: bool,
    rol: Rol = "usuario",
    estado: bool = False,
    **columns: str | None,
) -> int:
    """The new user's id. Raises ConstraintViolated when the username or the correo is taken."""
    parameters = structs.asdict(origin) | columns | {"first_admin": first_admin, "rol": rol, "estado": estado}
    async with db.transaction() as tx:
        if first_admin:
            await tx.run(LOCK_FIRST_ADMIN)
        id = await tx.one(int, INSERT, **parameters)
    assert id is not None  # noqa: S101 - INSERT … RETURNING gives a row or raises
    return id


async def by_id(db: Runner, id: int) -> Versioned | None:
    return await db.gather(Versioned.of, BY_ID, id=id)


async def profile(db: Runner, id: int) -> Own | None:
    return await db.gather(Own.of, PROFILE, id=id)


async def credentials(db: Runner, name: str) -> Credenciales | None:
    return await db.one(Credenciales, CREDENTIALS, name=name)


async def credentials_by_id(db: Runner, id: int) -> Credenciales | None:
    return await db.one(Credenciales, CREDENTIALS_BY_ID, id=id)


async def update(
    db: Runner,
    id: int,
    changes: Mapping[str, object],
    origin: Origin,
    *,
    condition: Condition = ALWAYS,
    keep_session: int = 0,
    vouched: bool = True,
    accion: Accion = "usuario_actualizado",
) -> Change:
    """Sets the columns in `changes`; a new password or a false `estado` ends every session but `keep_session`.

    A new correo turns `estado` false, unless it is `vouched` for.
    Only a row whose version meets `condition` is changed. Raises ConstraintViolated when the username or the
    correo is taken."""
    parameters = {**dict.fromkeys(COLUMNS), **changes, **structs.asdict(origin), **structs.asdict(condition)}
    parameters |= {"id": id, "keep": keep_session, "vouched": vouched, "accion": accion}
    parameters["sets_direccion"] = "direccion" in changes
    if not changes.keys() & {"password", "estado"}:
        return await db.one(Change.of, UPDATE, **parameters) or NO_CHANGE
    async with db.transaction() as tx:
        await tx.run(LOCK, id=id)
        return await tx.one(Change.of, UPDATE, **parameters) or NO_CHANGE


async def delete(db: Runner, id: int, origin: Origin, *, condition: Condition = ALWAYS) -> Change:
    parameters = structs.asdict(origin) | structs.asdict(condition)
    return await db.one(Change.of, DELETE, id=id, **parameters) or NO_CHANGE
