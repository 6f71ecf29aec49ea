"""What the second step of a login asks the database (migrations/0014_create_factor_llave.sql)."""

from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from core.caller import Origin
from core.database.database import Runner
from sql import logins
from sql.avisos import told
from sql.logins import Opened


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


CHALLENGE = """
-- logins_factor.challenge: what the second step of a login is checked against; uses usuario_pkey, factor_pkey
SELECT u.id, u.username, u.correo, u.password, u.estado, u.bloqueado, f.secreto, f.paso, f.confirmado
  FROM usuario AS u
  JOIN factor AS f ON f.usuario_id = u.id
 WHERE u.id = %(usuario_id)s
   AND u.segundo_factor
   AND f.confirmado IS NOT NULL
"""

LOG_IN = f"""
-- logins_factor.log_in: a new session for a code, which is used up by it, recorded; of many at once with one code one
-- gets it; a recovery code is told of by mail; uses usuario_pkey, factor_pkey, aviso_pkey
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
-- logins_factor.use: uses a code up for a login on a cluster, on its coordinator alone; uses factor_pkey
UPDATE factor
   SET paso    = greatest(paso, %(paso)s),
       codigos = array_remove(codigos, %(codigo)s)
 WHERE usuario_id = %(usuario_id)s
   AND confirmado = %(confirmado)s
   AND (paso < %(paso)s OR %(codigo)s = ANY (codigos))
"""

TELL = f"""
-- logins_factor.tell: a mail that tells of a recovery code that was used, for a login on a cluster;
-- uses usuario_pkey, aviso_pkey
WITH owner AS (
    SELECT id, correo, clock_timestamp() AS momento
      FROM usuario
     WHERE id = %(usuario_id)s
), noticed AS ({told("codigo_usado")}
)
SELECT 1
"""


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
        return await logins.entered(db, LOG_IN, **owner, **code, **session, **told_of)
    async with db.transaction() as tx:
        rol = await logins.enter_routed(tx, **owner, segundo_factor=True)
        if rol is None or not await tx.run(USE, usuario_id=asked.id, **code):
            return None
        if codigo:
            await tx.run(TELL, usuario_id=asked.id, **told_of)
        factor = "recuperacion" if codigo else "codigo"
        return await logins.open_routed(tx, asked.id, rol, origin, **session, factor=factor)
