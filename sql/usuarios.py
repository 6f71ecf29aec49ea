"""Statements on one row of usuario (migrations/0001_create_usuario.sql): who it is, what a login checks and renews."""

from msgspec import Struct

from core.addresses import spellings
from core.caller import Rol
from core.database.database import Runner
from core.instants import Instant


class Publico(Struct, frozen=True, gc=False):
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
    username: str
    correo: str
    password: str
    rol: Rol
    estado: bool
    bloqueado: bool
    segundo_factor: bool


class VersionedUser(Struct, frozen=True):
    """A public user and the version of their row, which their ETag carries."""

    version: int
    usuario: Publico

    @staticmethod
    def of(version: int, *columns: object) -> "VersionedUser":
        return VersionedUser(version, Publico(*columns))  # type: ignore[arg-type]


class VersionedProfile(Struct, frozen=True):
    """A user's own profile and the version of their row."""

    version: int
    usuario: Perfil

    @staticmethod
    def of(version: int, *columns: object) -> "VersionedProfile":
        return VersionedProfile(version, Perfil(*columns))  # type: ignore[arg-type]


BY_ID = """
-- usuarios.by_id: each asked public user; uses usuario_pkey
SELECT asked.n, u.version, u.id, u.username, u.nombre, u.apellido, u.correo
  FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)
  JOIN usuario AS u ON u.id = asked.id AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

PROFILE = """
-- usuarios.profile: each asked user's own data; uses usuario_pkey
SELECT asked.n, u.version, u.id, u.username, u.nombre, u.apellido, u.correo,
       u.direccion, u.telefono, u.estado, u.rol, u.creacion, u.actualizacion
  FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)
  JOIN usuario AS u ON u.id = asked.id AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

CREDENTIALS = """
-- usuarios.credentials: the user who logs in by username or correo (no username has an @);
-- uses usuario_username_key, usuario_correo_key
SELECT id, username, correo, password, rol, estado, bloqueado, segundo_factor
  FROM usuario
 WHERE lower(username COLLATE minusculas) = lower(%(name)s COLLATE minusculas)
    OR lower(correo COLLATE minusculas) = lower(%(name)s COLLATE minusculas)
"""

CREDENTIALS_BY_ID = """
-- usuarios.credentials_by_id: the hash that a change of one's own password is checked against; uses usuario_pkey
SELECT id, username, correo, password, rol, estado, bloqueado, segundo_factor
  FROM usuario
 WHERE id = %(id)s
"""

RENEW = """
-- usuarios.renew: the hash of a password that was verified a moment ago, made anew; uses usuario_pkey
UPDATE usuario
   SET password = %(renewed)s
 WHERE id = %(id)s
   AND password = %(verified)s
"""


async def by_id(db: Runner, id: int) -> VersionedUser | None:
    return await db.gather(VersionedUser.of, BY_ID, id=id)


async def profile(db: Runner, id: int) -> VersionedProfile | None:
    return await db.gather(VersionedProfile.of, PROFILE, id=id)


async def credentials(db: Runner, name: str) -> Credenciales | None:
    """Of the user whose username or correo somebody typed so."""
    for spelling in spellings(name):
        if found := await db.one(Credenciales, CREDENTIALS, name=spelling):
            return found
    return None


async def credentials_by_id(db: Runner, id: int) -> Credenciales | None:
    return await db.one(Credenciales, CREDENTIALS_BY_ID, id=id)


async def renew(db: Runner, id: int, *, verified: str, renewed: str) -> bool:
    """Whether the hash is `renewed` now; not when `verified` is not the user's any more."""
    return await db.run(RENEW, id=id, verified=verified, renewed=renewed) > 0
