"""Statements on sesion and revocacion (migrations/0003_create_sesion.sql)."""

from core.database import Database, Transaction
from core.revocation import Revocation
from core.tokens import Rol

Runner = Database | Transaction

INSERT = """
-- sesiones.insert: a new session, if the password verified a moment ago still is the user's; renews its hash
-- when a new one is given; uses usuario_pkey
WITH owner AS (
    SELECT id
      FROM usuario
     WHERE id = %(usuario_id)s
       AND password = %(verified)s
       FOR NO KEY UPDATE
), renewed AS (
    UPDATE usuario
       SET password = %(renewed)s
      FROM owner
     WHERE usuario.id = owner.id
       AND %(renewed)s::text IS NOT NULL
)
INSERT INTO sesion (usuario_id, expira, renovable, direccion, agente)
SELECT id, now() + %(seconds)s * interval '1 second', %(renewable)s, %(address)s, %(agent)s
  FROM owner
RETURNING id
"""

ACTIVE = """
-- sesiones.active: today's rol of each asked session's owner, if the session still stands;
-- uses sesion_pkey, usuario_pkey
SELECT asked.n, u.rol
  FROM unnest(%(usuario_id)s::bigint[], %(id)s::bigint[]) WITH ORDINALITY AS asked (usuario_id, id, n)
  JOIN sesion AS s ON s.usuario_id = asked.usuario_id AND s.id = asked.id AND s.fin IS NULL
  JOIN usuario AS u ON u.id = s.usuario_id
"""

REVOKED = """
-- sesiones.revoked: what processes that start or reconnect must learn, oldest first; uses revocacion_creacion_idx
SELECT usuario_id, sesion_id, rol
  FROM revocacion
 WHERE creacion > now() - %(seconds)s * interval '1 second'
 ORDER BY creacion
"""

BEAT = """
-- sesiones.beat: shows a process that it still hears; uses no index
SELECT asked.n, pg_notify(asked.channel, asked.sent)
  FROM unnest(%(channel)s::text[], %(sent)s::text[]) WITH ORDINALITY AS asked (channel, sent, n)
"""


async def insert(
    db: Runner,
    usuario_id: int,
    *,
    verified: str,
    renewed: str | None,
    seconds: int,
    renewable: bool,
    address: str,
    agent: str,
) -> int | None:
    """The id of a session of `seconds`; None when the user or the `verified` hash is gone since."""
    return await db.one(
        int,
        INSERT,
        usuario_id=usuario_id,
        verified=verified,
        renewed=renewed,
        seconds=seconds,
        renewable=renewable,
        address=address,
        agent=agent,
    )


async def active(db: Runner, usuario_id: int, id: int) -> Rol | None:
    return await db.gather(_rol, ACTIVE, usuario_id=usuario_id, id=id)


async def revoked(db: Runner, seconds: int) -> list[Revocation]:
    """What was revoked in the last `seconds`."""
    return await db.many(Revocation, REVOKED, seconds=seconds)


async def beat(db: Runner, channel: str, sent: str) -> None:
    await db.gather(str, BEAT, channel=channel, sent=sent)


def _rol(rol: Rol) -> Rol:
    return rol
