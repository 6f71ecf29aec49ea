"""Statements on llave (migrations/0014_create_factor_llave.sql): API keys."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct, structs

from core.auth.api_keys import Ambito
from core.caller import Origin, Rol
from core.database.database import Runner
from core.database.executors import Transaction
from core.instants import Instant
from sql.avisos import told

MOST = 100  # keys of a user


class Llave(Struct, frozen=True):
    """A key as its owner sees it; times are UTC. `uso` is within some minutes, and null before it is used."""

    id: int
    nombre: str
    ambitos: list[Ambito]
    creacion: Instant
    expira: Instant
    uso: Instant | None


class KeyOwner(Struct, frozen=True):
    """The owner of a key that stands, as they are today."""

    rol: Rol
    segundo_factor: bool
    estado: bool


COLUMNS = "id, nombre, ambitos, creacion, expira, uso"

INSERT = f"""
-- llaves.insert: a new key, recorded and told by mail, if the password verified a moment ago still is the user's and
-- they have not too many; uses usuario_pkey, llave_pkey, aviso_pkey
WITH locked AS (
    SELECT id, correo
      FROM usuario
     WHERE id = %(usuario_id)s
       AND password = %(verified)s
       AND (SELECT count(*) FROM llave WHERE usuario_id = %(usuario_id)s) < {MOST}
       FOR NO KEY UPDATE
), owner AS (
    SELECT id, correo, clock_timestamp() AS momento
      FROM locked
), created AS (
    INSERT INTO llave (usuario_id, nombre, ambitos, huella, creacion, expira)
    SELECT id, %(nombre)s, %(ambitos)s, %(huella)s, momento, %(expira)s
      FROM owner
    RETURNING usuario_id, id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, despues)
    SELECT %(actor)s, 'llave_creada', usuario_id, %(address)s, %(agent)s, %(request_id)s,
           jsonb_build_object('llave', id, 'ambitos', %(ambitos)s::text[], 'expira',
                              to_char(%(expira)s::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      FROM created
), noticed AS ({told("llave_creada")}
)
SELECT id
  FROM created
"""

PAGE = f"""
-- llaves.page: a user's keys, newest first, before a given one; uses llave_pkey
SELECT {COLUMNS}
  FROM llave
 WHERE usuario_id = %(usuario_id)s
   AND id < %(before)s
 ORDER BY id DESC
 LIMIT %(limit)s
"""

ACTIVE = """
-- llaves.active: today's rol of each asked key's owner, if the key stands; uses llave_pkey, usuario_pkey
SELECT asked.n, u.rol, u.segundo_factor, u.estado
  FROM unnest(%(usuario_id)s::bigint[], %(id)s::bigint[], %(huella)s::bytea[]) WITH ORDINALITY
       AS asked (usuario_id, id, huella, n)
  JOIN llave AS l
    ON l.usuario_id = asked.usuario_id AND l.id = asked.id AND l.huella = asked.huella AND l.expira > now()
  JOIN usuario AS u ON u.id = l.usuario_id AND NOT u.bloqueado
"""

USED = """
-- llaves.used: notes that some keys were used lately; uses llave_pkey
UPDATE llave AS l
   SET uso = now()
  FROM unnest(%(usuario_id)s::bigint[], %(id)s::bigint[]) AS asked (usuario_id, id)
 WHERE l.usuario_id = asked.usuario_id
   AND l.id = asked.id
"""

REVOKE = f"""
-- llaves.revoke: ends one of a user's keys, or all; recorded, told by mail and to every process; with `verified` only
-- if that is the user's hash, with `huella` only the key that has it; uses usuario_pkey, llave_pkey, aviso_pkey
WITH owner AS (
    SELECT id, correo, clock_timestamp() AS momento
      FROM usuario
     WHERE id = %(usuario_id)s
       AND (%(verified)s::text IS NULL OR password = %(verified)s)
), gone AS (
    DELETE FROM llave AS l
     USING owner
     WHERE l.usuario_id = owner.id
       AND (%(id)s::bigint IS NULL OR l.id = %(id)s)
       AND (%(huella)s::bytea IS NULL OR l.huella = %(huella)s)
    RETURNING l.usuario_id, l.id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes)
    SELECT %(actor)s, 'llave_revocada', usuario_id, %(address)s, %(agent)s, %(request_id)s,
           jsonb_build_object('llaves', jsonb_agg(id))
      FROM gone
     GROUP BY usuario_id
), noticed AS ({told("llave_revocada", "EXISTS (SELECT 1 FROM gone)")}
)
SELECT count(*), count(pg_notify('revocacion', usuario_id::text))
  FROM gone
"""

UNDO = """
-- llaves.undo: takes away the keys that were made since a change that is undone; uses llave_pkey
DELETE FROM llave
 WHERE usuario_id = %(usuario_id)s
   AND creacion >= %(since)s
"""

SWEEP = """
-- llaves.sweep: forgets some of the keys that ended 90 days ago; uses llave_expira_idx, llave_pkey
WITH over AS (
    SELECT usuario_id, id
      FROM llave
     WHERE expira < now() - interval '90 days'
     ORDER BY expira
     LIMIT 100
)
DELETE FROM llave AS l
 USING over
 WHERE l.usuario_id = over.usuario_id
   AND l.id = over.id
"""


async def insert(
    db: Runner,
    usuario_id: int,
    origin: Origin,
    *,
    nombre: str,
    ambitos: list[Ambito],
    huella: bytes,
    expira: datetime,
    verified: str,
    notice: bool,
) -> int | None:
    """The id of the new key; None when the user has MOST already, or `verified` is not their hash any more."""
    parameters = {"usuario_id": usuario_id, "nombre": nombre, "ambitos": ambitos, "huella": huella}
    parameters |= {"expira": expira, "verified": verified, "notice": notice, "reversible": True}
    return await db.one(int, INSERT, **parameters, **structs.asdict(origin))


async def page(db: Runner, usuario_id: int, *, before: int, limit: int) -> list[Llave]:
    """Up to `limit` keys by falling id, those below `before`; those that have ended too."""
    return await db.many(Llave, PAGE, usuario_id=usuario_id, before=before, limit=limit)


async def active(db: Runner, usuario_id: int, id: int, huella: bytes) -> KeyOwner | None:
    """The owner, if the key stands."""
    return await db.gather(KeyOwner, ACTIVE, usuario_id=usuario_id, id=id, huella=huella)


async def used(db: Runner, keys: Iterable[tuple[int, int]]) -> None:
    """Notes the keys of these users and ids as used now."""
    usuario_ids, ids = zip(*keys, strict=True)
    await db.run(USED, usuario_id=list(usuario_ids), id=list(ids))


async def revoke(
    db: Runner,
    usuario_id: int,
    origin: Origin,
    *,
    id: int | None = None,
    huella: bytes | None = None,
    verified: str | None = None,
    notice: bool,
    reversible: bool,
) -> int:
    """Ends the user's key `id`, or all of them; how many."""
    parameters = {"usuario_id": usuario_id, "id": id, "huella": huella, "verified": verified}
    parameters |= {"notice": notice, "reversible": reversible, **structs.asdict(origin)}
    return await db.one(_first, REVOKE, **parameters) or 0


async def undo(tx: Transaction, usuario_id: int, since: datetime) -> None:
    await tx.run(UNDO, usuario_id=usuario_id, since=since)


async def sweep(db: Runner) -> int:
    """How many keys were forgotten, up to 100."""
    return await db.run(SWEEP)


def _first(count: int, told: int) -> int:
    return count
