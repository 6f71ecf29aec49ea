"""Statements on factor (migrations/0014_create_factor_llave.sql): the second factor of a login."""

from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from core.caller import Origin, Rol
from core.database.database import Runner
from core.database.executors import Transaction
from core.instants import Instant
from sql import sesiones
from sql.avisos import told
from sql.sesiones import Opened


class FactorState(Struct, frozen=True):
    """Whether a user has a second factor, since when, how many recovery codes are left, and whether it must be."""

    activo: bool
    desde: Instant | None
    codigos_restantes: int
    rol: Rol


class Challenge(Struct, frozen=True):
    """What a second step is checked against: `secreto` is sealed, `paso` the last step whose code was used."""

    id: int
    username: str
    correo: str
    password: str
    estado: bool
    bloqueado: bool
    secreto: bytes
    paso: int
    confirmado: datetime


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

CHALLENGE = """
-- factores.challenge: what the second step of a login is checked against; uses usuario_pkey, factor_pkey
SELECT u.id, u.username, u.correo, u.password, u.estado, u.bloqueado, f.secreto, f.paso, f.confirmado
  FROM usuario AS u
  JOIN factor AS f ON f.usuario_id = u.id
 WHERE u.id = %(usuario_id)s
   AND u.segundo_factor
   AND f.confirmado IS NOT NULL
"""

LOG_IN = f"""
-- factores.log_in: a new session for a code, which is used up by it, recorded; of many at once with one code one gets
-- it; a recovery code is told of by mail; uses usuario_pkey, factor_pkey, aviso_pkey
WITH owner AS (
    SELECT id, rol, correo, clock_timestamp() AS momento
      FROM usuario
     WHERE id = %(usuario_id)s
       AND password = %(verified)s
       AND segundo_factor
       AND NOT bloqueado
       AND (estado OR NOT %(verified_only)s)
), used AS (
    UPDATE factor AS f
       SET paso    = greatest(f.paso, %(paso)s),
           codigos = array_remove(f.codigos, %(codigo)s)
      FROM owner
     WHERE f.usuario_id = owner.id
       AND f.confirmado = %(confirmado)s
       AND (f.paso < %(paso)s OR %(codigo)s = ANY (f.codigos))
    RETURNING f.usuario_id
), opened AS (
    INSERT INTO sesion (usuario_id, expira, renovable, direccion, agente)
    SELECT used.usuario_id, now() + %(seconds)s * interval '1 second', %(renewable)s, %(address)s, %(agent)s
      FROM used
    RETURNING usuario_id, id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, despues)
    SELECT usuario_id, 'login', usuario_id, %(address)s, %(agent)s, %(request_id)s,
           jsonb_build_object('sesion', id, 'factor',
                              CASE WHEN %(codigo)s::bytea IS NULL THEN 'codigo' ELSE 'recuperacion' END)
      FROM opened
), noticed AS ({told("codigo_usado", "%(codigo)s::bytea IS NOT NULL AND EXISTS (SELECT 1 FROM used)")}
)
SELECT opened.id, owner.rol
  FROM opened
  JOIN owner ON owner.id = opened.usuario_id
"""

USE = """
-- factores.use: uses a code up for a login on a cluster, on its coordinator alone; uses factor_pkey
UPDATE factor
   SET paso    = greatest(paso, %(paso)s),
       codigos = array_remove(codigos, %(codigo)s)
 WHERE usuario_id = %(usuario_id)s
   AND confirmado = %(confirmado)s
   AND (paso < %(paso)s OR %(codigo)s = ANY (codigos))
"""

TELL = f"""
-- factores.tell: a mail that tells of a recovery code that was used, for a login on a cluster;
-- uses usuario_pkey, aviso_pkey
WITH owner AS (
    SELECT id, correo, clock_timestamp() AS momento
      FROM usuario
     WHERE id = %(usuario_id)s
), noticed AS ({told("codigo_usado")}
)
SELECT 1
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


async def challenge(db: Runner, usuario_id: int) -> Challenge | None:
    return await db.one(Challenge, CHALLENGE, usuario_id=usuario_id)


async def log_in(
    db: Runner,
    asked: Challenge,
    origin: Origin,
    *,
    paso: int,
    codigo: bytes | None,
    seconds: int,
    renewable: bool,
    verified_only: bool,
    notice: bool,
) -> Opened | None:
    """A session of `seconds` for the code of the step `paso`, or for the recovery code that has the hash `codigo`; None
    when that was used already, or the password, the factor or the user is not the same any more."""
    owner: dict[str, Any] = {
        "usuario_id": asked.id,
        "verified": asked.password,
        "verified_only": verified_only,
    }
    code = {"confirmado": asked.confirmado, "paso": paso, "codigo": codigo}
    session: dict[str, Any] = {"seconds": seconds, "renewable": renewable}
    told_of = {"notice": notice, "reversible": True} | structs.asdict(origin)
    if not db.sharded:
        return await sesiones.entered(db, LOG_IN, **owner, **code, **session, **told_of)
    async with db.transaction() as tx:
        rol = await sesiones.enter_routed(tx, **owner, segundo_factor=True)
        if rol is None or not await tx.run(USE, usuario_id=asked.id, **code):
            return None
        if codigo:
            await tx.run(TELL, usuario_id=asked.id, **told_of)
        factor = "recuperacion" if codigo else "codigo"
        return await sesiones.open_routed(tx, asked.id, rol, origin, **session, factor=factor)


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
