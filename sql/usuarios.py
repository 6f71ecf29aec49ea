"""Statements on usuario (migrations/0001_create_usuario.sql)."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from core.database import Database, Transaction
from core.tokens import Rol

Runner = Database | Transaction

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
    creacion: datetime
    actualizacion: datetime


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


class Filters(Struct, frozen=True):
    """Which users a list holds: `q` is a prefix of username, nombre, apellido or correo, in any letter case."""

    q: str | None = None
    estado: bool | None = None
    rol: Rol | None = None

    def choose(self, by_prefix: str, by_rol: str, plain: str) -> str:
        """The statement whose index serves these filters."""
        return by_prefix if self.q else by_rol if self.rol else plain

    @property
    def parameters(self) -> dict[str, object]:
        """What the statements name; every text from `low` up to `high` begins with q."""
        q = self.q or ""
        return {"low": q, "high": q + chr(0x10FFFF), "estado": self.estado, "rol": self.rol}


class Change(Struct, frozen=True):
    """How a conditional change ended: was there a row, and did it still have the version asked for."""

    found: bool
    changed: bool


LOCK_FIRST_ADMIN = """
-- usuarios.lock_first_admin: registrations take turns while the first of them becomes admin; uses no index
SELECT pg_advisory_xact_lock(727001)
"""

INSERT = """
-- usuarios.insert: a new user, who is admin if asked to be the first one and none is yet; uses usuario_rol_idx
INSERT INTO usuario (username, password, nombre, apellido, direccion, telefono, correo, rol)
SELECT %(username)s, %(password)s, %(nombre)s, %(apellido)s, %(direccion)s, %(telefono)s, %(correo)s,
       CASE WHEN %(first_admin)s AND NOT EXISTS (SELECT FROM usuario WHERE rol = 'admin')
            THEN 'admin' ELSE 'usuario' END
RETURNING id
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

PAGE = """
-- usuarios.page: the users after a given id; uses usuario_pkey
SELECT id, username, nombre, apellido, correo
  FROM usuario
 WHERE id > %(after)s
   AND (%(estado)s::boolean IS NULL OR estado = %(estado)s)
 ORDER BY id
 LIMIT %(limit)s
"""

PAGE_BY_ROL = """
-- usuarios.page_by_rol: the users of one rol after a given id; uses usuario_rol_idx
SELECT id, username, nombre, apellido, correo
  FROM usuario
 WHERE rol = %(rol)s
   AND id > %(after)s
   AND (%(estado)s::boolean IS NULL OR estado = %(estado)s)
 ORDER BY id
 LIMIT %(limit)s
"""

_MATCHING = """
  FROM (SELECT id FROM usuario
         WHERE lower(username) ~>=~ lower(%(low)s) AND lower(username) ~<~ lower(%(high)s)
         UNION
        SELECT id FROM usuario
         WHERE lower(correo) ~>=~ lower(%(low)s) AND lower(correo) ~<~ lower(%(high)s)
         UNION
        SELECT id FROM usuario
         WHERE lower(nombre) ~>=~ lower(%(low)s) AND lower(nombre) ~<~ lower(%(high)s)
         UNION
        SELECT id FROM usuario
         WHERE lower(apellido) ~>=~ lower(%(low)s) AND lower(apellido) ~<~ lower(%(high)s)
       ) AS matching
  JOIN usuario AS u ON u.id = matching.id
 WHERE (%(estado)s::boolean IS NULL OR u.estado = %(estado)s)
   AND (%(rol)s::text IS NULL OR u.rol = %(rol)s)
"""

PAGE_BY_PREFIX = f"""
-- usuarios.page_by_prefix: the users whose names or correo begin so, after a given id;
-- uses usuario_username_key, usuario_correo_key, usuario_nombre_idx, usuario_apellido_idx
SELECT u.id, u.username, u.nombre, u.apellido, u.correo{_MATCHING}
   AND u.id > %(after)s
 ORDER BY u.id
 LIMIT %(limit)s
"""

COUNT = """
-- usuarios.count: how many users a list has in all; reads the whole table, only when asked to
SELECT count(*)
  FROM usuario
 WHERE (%(estado)s::boolean IS NULL OR estado = %(estado)s)
   AND (%(rol)s::text IS NULL OR rol = %(rol)s)
"""

COUNT_BY_PREFIX = f"""
-- usuarios.count_by_prefix: how many users a search has in all;
-- uses usuario_username_key, usuario_correo_key, usuario_nombre_idx, usuario_apellido_idx
SELECT count(*){_MATCHING}
"""

ESTIMATE = """
-- usuarios.estimate: about how many users there are, as of the last ANALYZE; uses pg_class_relname_nsp_index
SELECT greatest(reltuples, 0)::bigint
  FROM pg_class
 WHERE oid = 'usuario'::regclass
"""

UPDATE = """
-- usuarios.update: changes what was sent, ends the sessions a new password ends, tells every process;
-- uses usuario_pkey, sesion_pkey
WITH target AS (
    SELECT id, version, rol, estado
      FROM usuario
     WHERE id = %(id)s
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
           estado        = coalesce(%(estado)s, u.estado),
           rol           = coalesce(%(rol)s, u.rol),
           actualizacion = now(),
           version       = u.version + 1
      FROM target
     WHERE u.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR target.version = ANY (%(versions)s))
    RETURNING u.id, u.rol, u.rol <> target.rol AS new_rol,
              %(password)s::text IS NOT NULL OR (target.estado AND NOT u.estado) AS ends
), ended AS (
    UPDATE sesion AS s
       SET fin = now()
      FROM changed
     WHERE changed.ends
       AND s.usuario_id = changed.id
       AND s.id <> %(keep)s
       AND s.fin IS NULL
    RETURNING s.usuario_id, s.id
), recorded AS (
    INSERT INTO revocacion (usuario_id, sesion_id, rol)
    SELECT usuario_id, id, NULL FROM ended
     UNION ALL
    SELECT id, NULL, rol FROM changed WHERE new_rol
    RETURNING pg_notify('revocacion', concat_ws(' ', usuario_id, sesion_id, rol))
)
SELECT EXISTS (SELECT FROM target), EXISTS (SELECT FROM changed)
"""

DELETE = """
-- usuarios.delete: the user and, by cascade, their sales and sessions; tells every process;
-- uses usuario_pkey, sesion_pkey, venta_pkey
WITH target AS (
    SELECT id, version
      FROM usuario
     WHERE id = %(id)s
       FOR UPDATE
), sessions AS (
    SELECT s.usuario_id, s.id
      FROM sesion AS s
      JOIN target ON s.usuario_id = target.id
     WHERE s.fin IS NULL
), gone AS (
    DELETE FROM usuario AS u
     USING target
     WHERE u.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR target.version = ANY (%(versions)s))
    RETURNING u.id
), recorded AS (
    INSERT INTO revocacion (usuario_id, sesion_id)
    SELECT sessions.usuario_id, sessions.id
      FROM sessions
      JOIN gone ON gone.id = sessions.usuario_id
    RETURNING pg_notify('revocacion', concat_ws(' ', usuario_id, sesion_id))
)
SELECT EXISTS (SELECT FROM target), EXISTS (SELECT FROM gone)
"""


async def insert(db: Database, *, first_admin: bool, **columns: str | None) -> int:
    """The new user's id. Raises ConstraintViolated when the username or the correo is taken."""
    async with db.transaction() as tx:
        if first_admin:
            await tx.run(LOCK_FIRST_ADMIN)
        id = await tx.one(int, INSERT, first_admin=first_admin, **columns)
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


async def page(db: Runner, filters: Filters, *, after: int, limit: int) -> list[Publico]:
    """Up to `limit` users by rising id, those after `after`."""
    return await db.many(
        Publico,
        filters.choose(PAGE_BY_PREFIX, PAGE_BY_ROL, PAGE),
        **filters.parameters,
        after=after,
        limit=limit,
    )


async def count(db: Runner, filters: Filters) -> int:
    return await db.one(int, filters.choose(COUNT_BY_PREFIX, COUNT, COUNT), **filters.parameters) or 0


async def estimate(db: Runner) -> int:
    return await db.one(int, ESTIMATE) or 0


async def update(
    db: Runner, id: int, changes: Mapping[str, object], *, versions: list[int] | None, keep_session: int
) -> Change:
    """Sets the columns in `changes`; a new password ends every session but `keep_session`.

    With `versions`, only a row that has one of them is changed. Raises ConstraintViolated when the username
    or the correo is taken."""
    columns = {**dict.fromkeys(COLUMNS), **changes}
    sets_direccion = "direccion" in changes
    change = await db.one(
        Change, UPDATE, id=id, versions=versions, keep=keep_session, sets_direccion=sets_direccion, **columns
    )
    return change or Change(found=False, changed=False)


async def delete(db: Runner, id: int, *, versions: list[int] | None) -> Change:
    return await db.one(Change, DELETE, id=id, versions=versions) or Change(found=False, changed=False)
