"""Statements that change a row of usuario (migrations/0001_create_usuario.sql), and what follows from that."""

from collections.abc import Mapping
from typing import Literal

from msgspec import structs

from core.caller import Origin
from core.condition import ALWAYS, Condition
from core.database.database import Runner
from core.database.executors import Transaction
from sql import avisos, logins
from sql.auditoria import Accion
from sql.usuarios_new import RETURNED, VALORES, refuse_others

COLUMNS = (
    "username",
    "password",
    "nombre",
    "apellido",
    "direccion",
    "telefono",
    "correo",
    "estado",
    "rol",
    "bloqueado",
)
ENDING = {"password", "correo", "estado", "bloqueado"}  # what may end sessions
# How a change ended: there is nobody by that id, the row has not the version asked for, it would leave users without an
# admin, the password that was verified, or the correo that stays, is not the user's any more, or it is done.
Verdict = Literal["missing", "moved_on", "last_admin", "wrong_password", "done"]

LOCK = """
-- usuarios_change.lock: makes the other changes of a user wait; uses usuario_pkey
SELECT id
  FROM usuario
 WHERE id = %(id)s
   FOR NO KEY UPDATE
"""

LOCK_ADMINS = """
-- usuarios_change.lock_admins: the same; of two transactions that make admins fewer one waits for the other, so that
-- the next statement sees which admins are left; uses usuario_pkey, usuario_rol_idx
SELECT id
  FROM usuario
 WHERE id = %(id)s
    OR rol = 'admin'
 ORDER BY id
   FOR NO KEY UPDATE
"""

# Whether u is the only admin who is not blocked.
ALONE = """u.rol = 'admin' AND NOT u.bloqueado AND NOT EXISTS (
               SELECT 1 FROM usuario AS other WHERE other.rol = 'admin' AND NOT other.bloqueado AND other.id <> u.id)"""

MOVED_ON = "u.version <> ALL (%(versions)s::bigint[]) OR u.version = ANY (%(others)s::bigint[])"

UPDATE = f"""
-- usuarios_change.update: changes what was sent and records it, ends the sessions and links that it must, has the
-- owner told by mail, tells every process; not what would leave no admin; after another's change no link leads to an
-- older correo, and none to a correo of meanwhile when a correo comes back; with a password ends the factor that waits
-- to be confirmed;
-- uses usuario_pkey, usuario_rol_idx, sesion_pkey, enlace_pkey, aviso_pkey, factor_pkey
WITH target AS (
    SELECT u.id, u.rol, u.estado, u.bloqueado, u.correo, {VALORES} AS valores, clock_timestamp() AS momento,
           CASE WHEN {MOVED_ON} THEN 'moved_on'
                WHEN %(demotes)s AND {ALONE} THEN 'last_admin'
                WHEN u.password <> %(verified)s OR u.correo <> %(same_as)s THEN 'wrong_password'
                ELSE 'done'
           END AS verdict
      FROM usuario AS u
     WHERE u.id = %(id)s
       AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
       FOR NO KEY UPDATE
), changed AS (
    UPDATE usuario AS u
       SET username      = coalesce(%(username)s, u.username),
           password      = coalesce(%(password)s, u.password),
           nombre        = coalesce(%(nombre)s, u.nombre),
           apellido      = coalesce(%(apellido)s, u.apellido),
           direccion     = CASE WHEN %(sets_direccion)s THEN %(direccion)s ELSE u.direccion END,
           telefono      = coalesce(%(telefono)s, u.telefono),
           correo        = coalesce(%(correo)s, u.correo),
           estado        = coalesce(%(estado)s, u.estado AND (
                               %(vouched)s OR lower(u.correo COLLATE minusculas)
                                            = lower(coalesce(%(correo)s, u.correo) COLLATE minusculas))),
           rol           = coalesce(%(rol)s, u.rol),
           bloqueado     = coalesce(%(bloqueado)s, u.bloqueado),
           actualizacion = now(),
           version       = u.version + 1
      FROM target
     WHERE u.id = target.id
       AND target.verdict = 'done'
    RETURNING {RETURNED},
              target.correo AS old_correo,
              u.correo <> target.correo AND %(same_as)s::text IS NULL AS new_correo,
              %(password)s::text IS NOT NULL AS new_password,
              u.rol <> target.rol AS new_rol,
              target.estado AND %(estado)s IS FALSE AS unverified,
              u.bloqueado AND NOT target.bloqueado AS blocked,
              target.valores AS antes,
              target.momento
), compared AS (
    SELECT u.id, u.antes, {VALORES} AS despues
      FROM changed AS u
), ended AS (
    UPDATE sesion AS s
       SET fin    = now(),
           expira = now()
      FROM changed
     WHERE (changed.new_password OR changed.new_correo OR changed.unverified OR changed.blocked)
       AND s.usuario_id = %(id)s
       AND (s.id <> %(keep)s OR changed.blocked)
       AND s.fin IS NULL
), unlinked AS (
    DELETE FROM enlace AS e
     USING changed
     WHERE (changed.new_password OR changed.new_correo)
       AND e.usuario_id = changed.id
), unconfirmed AS (
    DELETE FROM factor AS f
     USING changed
     WHERE changed.new_password
       AND f.usuario_id = changed.id
       AND f.confirmado IS NULL
), returned AS (
    SELECT min(a.creacion) AS since
      FROM changed
      JOIN aviso AS a ON a.usuario_id = changed.id
     WHERE changed.new_correo
       AND a.reversible
       AND a.expira > now()
       AND lower(a.correo COLLATE minusculas) = lower(changed.correo COLLATE minusculas)
), withdrawn AS (
    DELETE FROM aviso AS a
     USING changed, returned
     WHERE ((changed.new_password OR changed.new_correo) AND %(actor)s::bigint NOT IN (0, changed.id)
            OR a.creacion > returned.since)
       AND a.usuario_id = changed.id
       AND lower(a.correo COLLATE minusculas) <> lower(changed.correo COLLATE minusculas)
), noticed AS (
    INSERT INTO aviso (usuario_id, tipo, correo, reversible, direccion, creacion, expira)
    SELECT changed.id, what.tipo, changed.old_correo,
           %(actor)s::bigint IN (0, changed.id) AND returned.since IS NULL,
           CASE WHEN %(actor)s::bigint IN (0, changed.id) THEN %(address)s ELSE '' END,
           changed.momento, now() + interval '72 hours'
      FROM changed
     CROSS JOIN returned
      JOIN (VALUES ('correo'), ('password')) AS what (tipo)
        ON what.tipo = 'correo' AND changed.new_correo
        OR what.tipo = 'password' AND changed.new_password AND (
           SELECT count(*) < {avisos.NOTICES}
             FROM aviso AS a
            WHERE a.usuario_id = changed.id
              AND a.tipo = 'password'
              AND a.creacion > now() - interval '1 day')
     WHERE %(notice)s
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes, despues)
    SELECT %(actor)s, %(accion)s, new.id, %(address)s, %(agent)s, %(request_id)s,
           jsonb_object_agg(old.key, old.value) FILTER (WHERE old.key IS NOT NULL),
           coalesce(jsonb_object_agg(old.key, new.despues -> old.key) FILTER (WHERE old.key IS NOT NULL), '{{}}')
           || CASE WHEN %(password)s::text IS NULL THEN '{{}}' ELSE '{{"password": "***"}}' END::jsonb
      FROM compared AS new
      LEFT JOIN LATERAL jsonb_each(new.antes) AS old (key, value) ON old.value <> new.despues -> old.key
     GROUP BY new.id
)
SELECT verdict,
       (SELECT pg_notify('revocacion', id::text)
          FROM changed
         WHERE new_password OR new_correo OR unverified OR blocked OR new_rol)
  FROM target
"""


async def lock(tx: Transaction, id: int) -> None:
    """Logins of the user wait from here on, so that the next statement sees every session."""
    await tx.run(LOCK, id=id)
    await logins.hold(tx, id)


async def update(
    db: Runner,
    id: int,
    changes: Mapping[str, object],
    origin: Origin,
    *,
    condition: Condition = ALWAYS,
    keep_session: int = 0,
    vouched: bool = True,
    notice: bool = False,
    verified: str | None = None,
    same_as: str | None = None,
    accion: Accion = "usuario_actualizado",
) -> Verdict:
    """Sets the columns in `changes`. A new password or correo, or a false `estado`, ends every session but
    `keep_session`; `bloqueado` ends them all.

    A new correo turns `estado` false, unless it is `vouched` for. With `notice` the correo that the user had is told of
    a new password or correo. Only a row whose version meets `condition` is changed and, with `verified`, that has this
    hash. With `same_as`, the correo that the user has, a correo in `changes` is the same one, at most written
    differently: it counts as no new one, and only a row that still has `same_as` is changed.

    Raises ConstraintViolated when the username or the correo is taken."""
    demotes = changes.get("rol") == "usuario" or changes.get("bloqueado") is True
    parameters = {**dict.fromkeys(COLUMNS), **changes, **structs.asdict(origin), **structs.asdict(condition)}
    parameters |= {"id": id, "keep": keep_session, "verified": verified, "same_as": same_as, "accion": accion}
    parameters |= {"vouched": vouched or same_as is not None}
    parameters |= {"sets_direccion": "direccion" in changes, "demotes": demotes, "notice": notice}
    if not (demotes or changes.keys() & ENDING):
        return await db.one(verdict_of, UPDATE, **parameters) or "missing"
    async with db.transaction() as tx:
        await tx.run(LOCK_ADMINS if demotes else LOCK, id=id)
        await logins.hold(tx, id)
        verdict: Verdict = await tx.one(verdict_of, UPDATE, **parameters) or "missing"
        if verdict == "done" and "correo" in changes:
            await refuse_others(tx, str(changes["correo"]), id)
        return verdict


def verdict_of(verdict: Verdict, told: object) -> Verdict:
    """A row's first column; the second is what pg_notify gives, which is nothing."""
    return verdict
