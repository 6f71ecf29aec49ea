"""Statements on sesion (migrations/0003_create_sesion.sql); each end of a session is told to every process."""

from typing import Any

from msgspec import Struct, structs

from core.caller import Origin, Rol
from core.database.database import Runner
from core.database.executors import Transaction
from core.instants import Instant
from sql import auditoria, intentos
from sql.intentos import Tried


class Opened(Struct, frozen=True):
    """A new session, and its owner's rol."""

    id: int
    rol: Rol


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


ENTER = """
-- sesiones.enter: makes a login come before or after a change of its user that ends sessions; locks no row, which on a
-- cluster would be locked on every node; uses no index
SELECT pg_advisory_xact_lock_shared(727002, hashint8(%(usuario_id)s::bigint))
"""

HOLD = """
-- sesiones.hold: makes the logins of a user wait, so that the next statement sees every session; uses no index
SELECT pg_advisory_xact_lock(727002, hashint8(%(usuario_id)s::bigint))
"""

INSERT = f"""
-- sesiones.insert: a new session, recorded, if the password verified a moment ago still is the user's and is enough;
-- what its attempt is counted under is settled; uses usuario_pkey, intento_pkey
WITH {intentos.ASKED}, owner AS (
    SELECT id, rol
      FROM usuario
     WHERE id = %(usuario_id)s
       AND password = %(verified)s
       AND NOT bloqueado
       AND NOT segundo_factor
       AND (estado OR NOT %(verified_only)s)
), opened AS (
    INSERT INTO sesion (usuario_id, expira, renovable, direccion, agente)
    SELECT id, now() + %(seconds)s * interval '1 second', %(renewable)s, %(address)s, %(agent)s
      FROM owner
    RETURNING usuario_id, id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, despues)
    SELECT usuario_id, 'login', usuario_id, %(address)s, %(agent)s, %(request_id)s, jsonb_build_object('sesion', id)
      FROM opened
), settled AS (
    {intentos.SETTLE.format(succeeded="EXISTS (SELECT 1 FROM opened)")}
)
SELECT opened.id, owner.rol
  FROM opened
  JOIN owner ON owner.id = opened.usuario_id
"""

OWNER = """
-- sesiones.owner: today's rol of a user whose password was verified a moment ago, for a login on a cluster;
-- uses usuario_pkey
SELECT rol
  FROM usuario
 WHERE id = %(usuario_id)s
   AND password = %(verified)s
   AND NOT bloqueado
   AND segundo_factor = %(segundo_factor)s
   AND (estado OR NOT %(verified_only)s)
"""

INSERT_ROUTED = """
-- sesiones.insert_routed: a new session on a cluster, of one shard alone; uses no index
INSERT INTO sesion (usuario_id, expira, renovable, direccion, agente)
VALUES (%(usuario_id)s, now() + %(seconds)s * interval '1 second', %(renewable)s, %(address)s, %(agent)s)
RETURNING id
"""

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


async def insert(
    db: Runner,
    usuario_id: int,
    origin: Origin,
    *,
    verified: str,
    seconds: int,
    renewable: bool,
    verified_only: bool,
    tried: Tried,
) -> Opened | None:
    """A session of `seconds`; None when the user or the `verified` hash is gone since, or they have a second factor.

    It settles the counts of what was `tried`."""
    owner: dict[str, Any] = {"usuario_id": usuario_id, "verified": verified, "verified_only": verified_only}
    session: dict[str, Any] = {"seconds": seconds, "renewable": renewable}
    if not db.sharded:
        return await entered(db, INSERT, **owner, **session, **structs.asdict(origin), **tried.parameters())
    async with db.transaction() as tx:
        rol = await enter_routed(tx, **owner, segundo_factor=False)
        if rol is None:
            return None
        opened = await open_routed(tx, usuario_id, rol, origin, **session)
    await intentos.succeeded(db, tried)
    return opened


async def entered(db: Runner, sql: str, **parameters: object) -> Opened | None:
    """What a login's statement opened, before or after a change of its user that ends sessions, in one round trip."""
    _, opened = await db.together((ENTER, {"usuario_id": parameters["usuario_id"]}), (sql, parameters))
    return Opened(*opened[0]) if opened else None


async def enter_routed(tx: Transaction, *, usuario_id: int, **owner: object) -> Rol | None:
    """The rol of a user who logs in on a cluster, before or after a change that ends sessions.

    None when they are not as `owner` says."""
    await tx.run(ENTER, usuario_id=usuario_id)
    return await tx.one(_rol, OWNER, usuario_id=usuario_id, **owner)


async def open_routed(
    tx: Transaction,
    usuario_id: int,
    rol: Rol,
    origin: Origin,
    *,
    seconds: int,
    renewable: bool,
    **recorded: object,
) -> Opened:
    """A new session on a cluster, made on one shard; recorded."""
    session = {"seconds": seconds, "renewable": renewable} | structs.asdict(origin)
    id: int | None = await tx.one(int, INSERT_ROUTED, usuario_id=usuario_id, **session)
    assert id is not None  # noqa: S101 - INSERT … RETURNING gives a row or raises
    their_own = structs.replace(origin, actor=usuario_id)
    await auditoria.record(tx, "login", their_own, affected=usuario_id, sesion=id, **recorded)
    return Opened(id, rol)


async def hold(tx: Transaction, usuario_id: int) -> None:
    """Makes who logs in as this user wait for the end of the transaction; waits for who is doing so now."""
    await tx.run(HOLD, usuario_id=usuario_id)


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


def _rol(rol: Rol) -> Rol:
    return rol


def _first(count: int, told: int) -> int:
    return count
