"""Statements on sesion (migrations/0003_create_sesion.sql); each end of a session is told to every process."""

from msgspec import Struct, structs

from core.caller import Origin, Rol
from core.database.database import Runner
from core.instants import Instant


class SessionOwner(Struct, frozen=True):
    """The owner of a session that stands, as they are today."""

    rol: Rol
    segundo_factor: bool


class Sesion(Struct, frozen=True):
    """A session as its owner sees it; times are UTC. `uso` is when it last gave tokens, `direccion` and `agente`
    are from then; `actual` marks the one that asks."""

    id: int
    creacion: Instant
    uso: Instant
    expira: Instant
    direccion: str
    agente: str
    actual: bool


class StoredSession(Struct, frozen=True):
    """All that is kept of a session; `fin` is when it was ended, if it was."""

    id: int
    creacion: Instant
    uso: Instant
    expira: Instant
    fin: Instant | None
    direccion: str
    agente: str


END = """
-- sesiones.end: ends one of a user's sessions, or all, or all but one; recorded; uses sesion_pkey
WITH ended AS (
    UPDATE sesion
       SET fin    = now(),
           expira = now()
     WHERE usuario_id = %(usuario_id)s
       AND (%(id)s::bigint IS NULL OR id = %(id)s)
       AND (%(keep)s::bigint IS NULL OR id <> %(keep)s)
       AND fin IS NULL
       AND expira > now() - interval '1 day'
    RETURNING usuario_id, id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes)
    SELECT %(actor)s, 'sesion_terminada', usuario_id, %(address)s, %(agent)s, %(request_id)s,
           jsonb_build_object('sesiones', jsonb_agg(id))
      FROM ended
     GROUP BY usuario_id
)
SELECT count(*), count(pg_notify('revocacion', usuario_id::text))
  FROM ended
"""

PAGE = """
-- sesiones.page: a user's sessions that stand, newest first, before a given one; uses sesion_pkey
SELECT id, creacion, uso, expira, direccion, agente, id = %(current)s
  FROM sesion
 WHERE usuario_id = %(usuario_id)s
   AND id < %(before)s
   AND fin IS NULL
   AND expira > now()
   AND (NOT renovable OR uso > now() - %(idle)s * interval '1 second')
 ORDER BY id DESC
 LIMIT %(limit)s
"""

KEPT = """
-- sesiones.kept: all that is kept of a user's sessions, newest first, before a given one; uses sesion_pkey
SELECT id, creacion, uso, expira, fin, direccion, agente
  FROM sesion
 WHERE usuario_id = %(usuario_id)s
   AND id < %(before)s
 ORDER BY id DESC
 LIMIT %(limit)s
"""

ACTIVE = """
-- sesiones.active: today's rol of each asked session's owner, if the session still stands;
-- uses sesion_pkey, usuario_pkey
SELECT asked.n, u.rol, u.segundo_factor
  FROM unnest(%(usuario_id)s::bigint[], %(id)s::bigint[]) WITH ORDINALITY AS asked (usuario_id, id, n)
  JOIN sesion AS s ON s.usuario_id = asked.usuario_id AND s.id = asked.id AND s.fin IS NULL
  JOIN usuario AS u ON u.id = s.usuario_id AND NOT u.bloqueado
"""

ACTIVE_ROUTED = """
-- sesiones.active_routed: today's rol of a session's owner on a cluster, of one shard alone;
-- uses sesion_pkey, usuario_pkey
SELECT u.rol, u.segundo_factor
  FROM sesion AS s
  JOIN usuario AS u ON u.id = s.usuario_id AND NOT u.bloqueado
 WHERE s.usuario_id = %(usuario_id)s
   AND s.id = %(id)s
   AND s.fin IS NULL
"""

PROBE = """
-- sesiones.probe: shows a process that it hears what another connection tells; uses no index
SELECT pg_notify(%(channel)s, '')
"""

SWEEP = """
-- sesiones.sweep: forgets some of the sessions that no token can name any more; uses sesion_expira_idx, sesion_pkey
WITH over AS (
    SELECT usuario_id, id
      FROM sesion
     WHERE expira < now() - interval '2 days'
     ORDER BY expira
     LIMIT 100
)
DELETE FROM sesion AS s
 USING over
 WHERE s.usuario_id = over.usuario_id
   AND s.id = over.id
"""


async def end(
    db: Runner, usuario_id: int, origin: Origin, *, id: int | None = None, keep: int | None = None
) -> int:
    """Ends the user's session `id`, or all of them but `keep`; how many."""
    parameters = structs.asdict(origin)
    return await db.one(_first, END, usuario_id=usuario_id, id=id, keep=keep, **parameters) or 0


async def page(
    db: Runner, usuario_id: int, *, current: int, idle: int, before: int, limit: int
) -> list[Sesion]:
    """Up to `limit` sessions by falling id, those below `before`; `idle` is in seconds."""
    return await db.many(
        Sesion, PAGE, usuario_id=usuario_id, current=current, idle=idle, before=before, limit=limit
    )


async def kept(db: Runner, usuario_id: int, *, before: int, limit: int) -> list[StoredSession]:
    """Up to `limit` sessions by falling id, those below `before`, the ended ones too."""
    return await db.many(StoredSession, KEPT, usuario_id=usuario_id, before=before, limit=limit)


async def active(db: Runner, usuario_id: int, id: int) -> SessionOwner | None:
    """The owner, if the session stands."""
    return await db.gather(SessionOwner, ACTIVE, ACTIVE_ROUTED, usuario_id=usuario_id, id=id)


async def probe(db: Runner, channel: str) -> None:
    await db.run(PROBE, channel=channel)


async def sweep(db: Runner) -> int:
    """How many sessions were forgotten, up to 100."""
    return await db.run(SWEEP)


def _first(count: int, told: int) -> int:
    return count
