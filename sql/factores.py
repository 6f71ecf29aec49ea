"""Statements on factor (migrations/0014_create_factor_llave.sql): the second factor of a login."""

from datetime import datetime

from msgspec import Struct, structs

from core.caller import Origin, Rol
from core.database.database import Runner
from core.database.executors import Transaction
from core.instants import Instant
from sql.avisos import told


class FactorState(Struct, frozen=True):
    """Whether a user has a second factor, since when, how many recovery codes are left, and whether it must be."""

    activo: bool
    desde: Instant | None
    codigos_restantes: int
    rol: Rol


class SealedSecret(Struct, frozen=True):
    usuario_id: int
    secreto: bytes


STATE = """
-- factores.state: whether a user has a second factor; uses usuario_pkey, factor_pkey
SELECT u.segundo_factor, f.confirmado, coalesce(cardinality(f.codigos), 0), u.rol
  FROM usuario AS u
  LEFT JOIN factor AS f ON f.usuario_id = u.id AND f.confirmado IS NOT NULL
 WHERE u.id = %(usuario_id)s
"""

BEGIN = """
-- factores.begin: a secret that waits to be confirmed, instead of one that waited, if the password verified a moment
-- ago still is the user's and they have no factor; uses usuario_pkey, factor_pkey
WITH owner AS (
    SELECT id
      FROM usuario
     WHERE id = %(usuario_id)s
       AND password = %(verified)s
       AND NOT segundo_factor
       FOR NO KEY UPDATE
)
INSERT INTO factor (usuario_id, secreto, sello)
SELECT id, %(secreto)s, %(sello)s
  FROM owner
    ON CONFLICT (usuario_id) DO UPDATE
   SET secreto    = excluded.secreto,
       sello      = excluded.sello,
       creacion   = excluded.creacion,
       confirmado = NULL,
       paso       = 0,
       codigos    = '{}'
"""

WAITING = """
-- factores.waiting: the secret that waits to be confirmed; uses factor_pkey
SELECT usuario_id, secreto
  FROM factor
 WHERE usuario_id = %(usuario_id)s
   AND confirmado IS NULL
   AND creacion > now() - interval '1 hour'
"""

CONFIRM = f"""
-- factores.confirm: from here on a login needs a code; ends the other sessions, which needed none; recorded, told by
-- mail and to every process; uses usuario_pkey, factor_pkey, sesion_pkey, aviso_pkey
WITH owner AS (
    SELECT u.id, u.correo, clock_timestamp() AS momento
      FROM usuario AS u
      JOIN factor AS f ON f.usuario_id = u.id
     WHERE u.id = %(usuario_id)s
       AND f.secreto = %(secreto)s
       AND f.confirmado IS NULL
), activated AS (
    UPDATE usuario AS u
       SET segundo_factor = true
      FROM owner
     WHERE u.id = owner.id
), confirmed AS (
    UPDATE factor AS f
       SET confirmado = owner.momento,
           paso       = %(paso)s,
           codigos    = %(codigos)s
      FROM owner
     WHERE f.usuario_id = owner.id
), ended AS (
    UPDATE sesion AS s
       SET fin    = now(),
           expira = now()
      FROM owner
     WHERE s.usuario_id = %(usuario_id)s
       AND s.id <> %(keep)s
       AND s.fin IS NULL
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion)
    SELECT %(actor)s, 'factor_activado', id, %(address)s, %(agent)s, %(request_id)s
      FROM owner
), noticed AS ({told("factor_activado")}
)
SELECT id, pg_notify('revocacion', id::text)
  FROM owner
"""

REMOVE = f"""
-- factores.remove: a password is enough again; recorded, told by mail and to every process; with `verified` only if
-- that is the user's hash; uses usuario_pkey, factor_pkey, aviso_pkey
WITH locked AS (
    SELECT id, correo
      FROM usuario
     WHERE id = %(usuario_id)s
       AND segundo_factor
       AND (%(verified)s::text IS NULL OR password = %(verified)s)
       FOR NO KEY UPDATE
), owner AS (
    SELECT id, correo, clock_timestamp() AS momento
      FROM locked
), ended AS (
    UPDATE usuario AS u
       SET segundo_factor = false
      FROM owner
     WHERE u.id = owner.id
), gone AS (
    DELETE FROM factor AS f
     USING owner
     WHERE f.usuario_id = owner.id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion)
    SELECT %(actor)s, 'factor_quitado', id, %(address)s, %(agent)s, %(request_id)s
      FROM owner
), noticed AS ({told("factor_quitado")}
)
SELECT id, pg_notify('revocacion', id::text)
  FROM owner
"""

UNDO = """
-- factores.undo: takes away a second factor that was set up since a change that is undone;
-- uses usuario_pkey, factor_pkey
WITH gone AS (
    DELETE FROM factor
     WHERE usuario_id = %(usuario_id)s
       AND (confirmado IS NULL OR confirmado >= %(since)s)
    RETURNING usuario_id
)
UPDATE usuario
   SET segundo_factor = false
  FROM gone
 WHERE usuario.id = gone.usuario_id
"""

OUTDATED = """
-- factores.outdated: some of the secrets that another key has sealed; uses factor_sello_idx, factor_pkey
SELECT usuario_id, secreto
  FROM factor
 WHERE (sello < %(sello)s OR sello > %(sello)s)
   AND usuario_id > %(after)s
 ORDER BY usuario_id
 LIMIT 100
"""

RESEAL = """
-- factores.reseal: a secret, sealed anew, if it still is the same; uses factor_pkey
UPDATE factor
   SET secreto = %(secreto)s,
       sello   = %(sello)s
 WHERE usuario_id = %(usuario_id)s
   AND secreto = %(before)s
"""


async def state(db: Runner, usuario_id: int) -> FactorState | None:
    return await db.one(FactorState, STATE, usuario_id=usuario_id)


async def begin(db: Runner, usuario_id: int, secreto: bytes, sello: int, *, verified: str) -> bool:
    """Whether it waits now; not when there is a factor, or `verified` is not the user's hash any more."""
    parameters = {"usuario_id": usuario_id, "secreto": secreto, "sello": sello, "verified": verified}
    return await db.run(BEGIN, **parameters) > 0


async def waiting(db: Runner, usuario_id: int) -> bytes | None:
    """The sealed secret that was set up within the last hour, and is not confirmed."""
    found = await db.one(SealedSecret, WAITING, usuario_id=usuario_id)
    return found.secreto if found else None


async def confirm(
    tx: Transaction,
    usuario_id: int,
    origin: Origin,
    *,
    secreto: bytes,
    paso: int,
    codigos: list[bytes],
    keep: int,
    notice: bool,
) -> bool:
    """Whether it is confirmed now, and was not before; ends every session but `keep`.

    In a transaction that holds the user's row, so that it sees every session."""
    parameters = {"secreto": secreto, "paso": paso, "codigos": codigos, "keep": keep, "notice": notice}
    parameters |= {"usuario_id": usuario_id, "reversible": True, **structs.asdict(origin)}
    return await tx.one(_id, CONFIRM, **parameters) is not None


async def remove(
    db: Runner, usuario_id: int, origin: Origin, *, verified: str | None, notice: bool, reversible: bool
) -> bool:
    """Whether there was one; with `verified`, only if that is the user's hash. The mail carries a link that undoes it
    when it is `reversible`."""
    parameters = {"usuario_id": usuario_id, "verified": verified, "notice": notice, "reversible": reversible}
    return await db.one(_id, REMOVE, **parameters, **structs.asdict(origin)) is not None


async def undo(tx: Transaction, usuario_id: int, since: datetime) -> None:
    await tx.run(UNDO, usuario_id=usuario_id, since=since)


async def outdated(db: Runner, sello: int, after: int) -> list[SealedSecret]:
    """Up to 100 secrets that the key `sello` has not sealed, of the users after `after`."""
    return await db.many(SealedSecret, OUTDATED, sello=sello, after=after)


async def reseal(db: Runner, of: SealedSecret, secreto: bytes, sello: int) -> None:
    await db.run(RESEAL, usuario_id=of.usuario_id, before=of.secreto, secreto=secreto, sello=sello)


def _id(id: int, told: object) -> int:
    """Leaves out that every process was told."""
    return id
