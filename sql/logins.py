"""What a login asks the database: before its password is checked, and for the session that it opens."""

from typing import Any

from msgspec import Struct, structs

from core.addresses import spellings
from core.caller import Origin, Rol
from core.database.database import Database, Runner
from core.database.executors import Transaction
from sql import auditoria, intentos, usuarios
from sql.intentos import AttemptVerdict, Tried
from sql.usuarios import Credenciales


class Opened(Struct, frozen=True):
    """A new session, and its owner's rol."""

    id: int
    rol: Rol


ENTER = """
-- logins.enter: makes a login come before or after a change of its user that ends sessions; locks no row, which on a
-- cluster would be locked on every node; uses no index
SELECT pg_advisory_xact_lock_shared(727002, hashint8(%(usuario_id)s::bigint))
"""

HOLD = """
-- logins.hold: makes the logins of a user wait, so that the next statement sees every session; uses no index
SELECT pg_advisory_xact_lock(727002, hashint8(%(usuario_id)s::bigint))
"""

INSERT = f"""
-- logins.insert: a new session, recorded, if the password verified a moment ago still is the user's and is enough;
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
-- logins.owner: today's rol of a user whose password was verified a moment ago, for a login on a cluster;
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
-- logins.insert_routed: a new session on a cluster, of one shard alone; uses no index
INSERT INTO sesion (usuario_id, expira, renovable, direccion, agente)
VALUES (%(usuario_id)s, now() + %(seconds)s * interval '1 second', %(renewable)s, %(address)s, %(agent)s)
RETURNING id
"""


async def begin(db: Database, tried: Tried, name: str) -> tuple[AttemptVerdict | None, Credenciales | None]:
    """Counts the attempt, if there is something to count, and finds the user, in one round trip."""
    asked = [(usuarios.CREDENTIALS, {"name": spelling}) for spelling in spellings(name)]
    counted = [(intentos.ATTEMPT, tried.parameters())] if tried.counts else []
    answers = await db.together(*asked, *counted)
    verdict = AttemptVerdict(*answers.pop()[0]) if counted else None
    found = [Credenciales(*row) for rows in answers for row in rows]
    return verdict, found[0] if found else None


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


def _rol(rol: Rol) -> Rol:
    return rol
