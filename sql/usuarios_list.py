"""Lists of usuarios: which users, page by page, and how many."""

from msgspec import Struct

from core.caller import Rol
from core.database.database import Runner
from sql.usuarios import Publico


class ChosenUsers(Struct, frozen=True):
    """Which users a list holds: `q` is a prefix of username, nombre, apellido or correo, in any letter case."""

    q: str | None = None
    estado: bool | None = None
    rol: Rol | None = None
    bloqueado: bool | None = None

    def choose(self, by_prefix: str, by_rol: str, plain: str) -> str:
        """The statement whose index serves these filters."""
        return by_prefix if self.q else by_rol if self.rol else plain

    @property
    def parameters(self) -> dict[str, object]:
        """What the statements name; every text from `low` up to `high` begins with q."""
        q = self.q or ""
        chosen: dict[str, object] = {"estado": self.estado, "rol": self.rol, "bloqueado": self.bloqueado}
        return {**chosen, "low": q, "high": q + chr(0x10FFFF)}


EVERYONE = ChosenUsers()

PAGE = """
-- usuarios_list.page: for each asker, the users after a given id; uses usuario_pkey
SELECT asked.n, u.id, u.username, u.nombre, u.apellido, u.correo
  FROM unnest(%(after)s::bigint[], %(limit)s::bigint[]) WITH ORDINALITY AS asked (after, "limit", n)
 CROSS JOIN LATERAL (
       SELECT id, username, nombre, apellido, correo
         FROM usuario
        WHERE id > asked.after
          AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
        ORDER BY id
        LIMIT asked."limit"
       ) AS u
"""

PAGE_BY_ESTADO = """
-- usuarios_list.page_by_estado: the users that have an estado, or any, after a given id; uses usuario_pkey
SELECT id, username, nombre, apellido, correo
  FROM usuario
 WHERE id > %(after)s
   AND (%(estado)s::boolean IS NULL OR estado = %(estado)s)
   AND (%(bloqueado)s::boolean IS NULL OR bloqueado = %(bloqueado)s)
   AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
 ORDER BY id
 LIMIT %(limit)s
"""

# Not `rol = …`: then its index would give the order no sooner than usuario_pkey, which may be read instead from end to
# end for the few who are admin.
PAGE_BY_ROL = """
-- usuarios_list.page_by_rol: the users of one rol after a given id; uses usuario_rol_idx
SELECT id, username, nombre, apellido, correo
  FROM usuario
 WHERE rol = ANY (ARRAY[%(rol)s])
   AND id > %(after)s
   AND (%(estado)s::boolean IS NULL OR estado = %(estado)s)
   AND (%(bloqueado)s::boolean IS NULL OR bloqueado = %(bloqueado)s)
   AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
 ORDER BY rol, id
 LIMIT %(limit)s
"""

MATCHING = """
 WHERE (lower(username COLLATE minusculas) ~>=~ lower(%(low)s COLLATE minusculas)
            AND lower(username COLLATE minusculas) ~<~ lower(%(high)s COLLATE minusculas)
        OR lower(correo COLLATE minusculas) ~>=~ lower(%(low)s COLLATE minusculas)
            AND lower(correo COLLATE minusculas) ~<~ lower(%(high)s COLLATE minusculas)
        OR lower(nombre COLLATE minusculas) ~>=~ lower(%(low)s COLLATE minusculas)
            AND lower(nombre COLLATE minusculas) ~<~ lower(%(high)s COLLATE minusculas)
        OR lower(apellido COLLATE minusculas) ~>=~ lower(%(low)s COLLATE minusculas)
            AND lower(apellido COLLATE minusculas) ~<~ lower(%(high)s COLLATE minusculas))
   AND (%(estado)s::boolean IS NULL OR estado = %(estado)s)
   AND (%(bloqueado)s::boolean IS NULL OR bloqueado = %(bloqueado)s)
   AND (%(rol)s::text IS NULL OR rol = %(rol)s)
   AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))"""

PAGE_BY_PREFIX = f"""
-- usuarios_list.page_by_prefix: the users whose names or correo begin so, after a given id; reads all that match;
-- uses usuario_username_key, usuario_correo_key, usuario_nombre_idx, usuario_apellido_idx, usuario_pkey
WITH matching AS MATERIALIZED (
SELECT id
  FROM usuario{MATCHING}
   AND id > %(after)s
)
SELECT id, username, nombre, apellido, correo
  FROM usuario
 WHERE id IN (SELECT id FROM matching ORDER BY id LIMIT %(limit)s)
 ORDER BY id
"""

COUNT = """
-- usuarios_list.count: how many users a list has in all, when asked; reads the whole table; uses usuario_pkey
SELECT count(*)
  FROM usuario
 WHERE (%(estado)s::boolean IS NULL OR estado = %(estado)s)
   AND (%(bloqueado)s::boolean IS NULL OR bloqueado = %(bloqueado)s)
   AND (%(rol)s::text IS NULL OR rol = %(rol)s)
   AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

COUNT_BY_PREFIX = f"""
-- usuarios_list.count_by_prefix: how many users a search has in all, when asked; reads all that match;
-- uses usuario_username_key, usuario_correo_key, usuario_nombre_idx, usuario_apellido_idx
SELECT count(*)
  FROM usuario{MATCHING}
"""

ESTIMATE = """
-- usuarios_list.estimate: about how many users there are, as of the last ANALYZE; uses no index
SELECT greatest(reltuples, 0)::bigint
  FROM pg_class
 WHERE oid = 'usuario'::regclass
"""


async def page(db: Runner, filters: ChosenUsers, *, after: int, limit: int) -> list[Publico]:
    """Up to `limit` users by rising id, those after `after`."""
    if filters == EVERYONE:
        return await db.gather_many(Publico, PAGE, after=after, limit=limit)
    return await db.many(
        Publico,
        filters.choose(PAGE_BY_PREFIX, PAGE_BY_ROL, PAGE_BY_ESTADO),
        **filters.parameters,
        after=after,
        limit=limit,
    )


async def count(db: Runner, filters: ChosenUsers) -> int:
    return await db.one(int, filters.choose(COUNT_BY_PREFIX, COUNT, COUNT), **filters.parameters) or 0


async def estimate(db: Runner) -> int:
    return await db.one(int, ESTIMATE) or 0
