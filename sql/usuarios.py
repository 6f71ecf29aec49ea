"""Statements on usuario (migrations/0001_create_usuario.sql)."""

from collections.abc import Mapping
from typing import Literal
from uuid import uuid4

from msgspec import Struct, structs

from core.addresses import spellings
from core.caller import Origin, Rol
from core.condition import ALWAYS, Condition
from core.database.database import Runner, Transaction
from core.instants import Instant
from core.problems import violated
from sql import avisos, sesiones
from sql.auditoria import MADE_ANONYMOUS, Accion

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


class Publico(Struct, frozen=True, gc=False):
    """What others may know of a user."""

    id: int
    username: str
    nombre: str
    apellido: str
    correo: str


class Perfil(Publico, frozen=True):
    """What a user may know of themselves; times are UTC."""

    direccion: str | None
    telefono: str
    estado: bool
    rol: Rol
    creacion: Instant
    actualizacion: Instant


class Credenciales(Struct, frozen=True):
    id: int
    username: str
    correo: str
    password: str
    rol: Rol
    estado: bool
    bloqueado: bool
    segundo_factor: bool


class VersionedUser(Struct, frozen=True):
    """A public user and the version of their row, which their ETag carries."""

    version: int
    usuario: Publico

    @staticmethod
    def of(version: int, *columns: object) -> "VersionedUser":
        return VersionedUser(version, Publico(*columns))  # type: ignore[arg-type]


class Own(Struct, frozen=True):
    version: int
    usuario: Perfil

    @staticmethod
    def of(version: int, *columns: object) -> "Own":
        return Own(version, Perfil(*columns))  # type: ignore[arg-type]


class Registered(Struct, frozen=True):
    """A new user's id, and the rol that they have."""

    id: int
    rol: Rol


# How a change ended: there is nobody by that id, the row has not the version asked for, it would leave users without an
# admin, the password that was verified, or the correo that stays, is not the user's any more, or it is done.
Verdict = Literal["missing", "moved_on", "last_admin", "wrong_password", "done"]

LOCK_FIRST_ADMIN = """
-- usuarios.lock_first_admin: registrations take turns while the first of them becomes admin; uses no index
SELECT pg_advisory_xact_lock(727001)
"""

LOCK = """
-- usuarios.lock: makes the other changes of a user wait; uses usuario_pkey
SELECT id
  FROM usuario
 WHERE id = %(id)s
   FOR NO KEY UPDATE
"""

LOCK_ADMINS = """
-- usuarios.lock_admins: the same; of two transactions that make admins fewer one waits for the other, so that the next
-- statement sees which admins are left; uses usuario_pkey, usuario_rol_idx
SELECT id
  FROM usuario
 WHERE id = %(id)s
    OR rol = 'admin'
 ORDER BY id
   FOR NO KEY UPDATE
"""

LOCK_TO_DELETE = """
-- usuarios.lock_to_delete: the same for a user who is to be deleted, with the other admins where it is one;
-- uses usuario_pkey, usuario_rol_idx
SELECT id
  FROM usuario
 WHERE id = %(id)s
    OR rol = 'admin' AND EXISTS (SELECT 1 FROM usuario WHERE id = %(id)s AND rol = 'admin')
 ORDER BY id
   FOR NO KEY UPDATE
"""

# Whether u is the only admin who is not blocked.
ALONE = """u.rol = 'admin' AND NOT u.bloqueado AND NOT EXISTS (
               SELECT 1 FROM usuario AS other WHERE other.rol = 'admin' AND NOT other.bloqueado AND other.id <> u.id)"""

MOVED_ON = "u.version <> ALL (%(versions)s::bigint[]) OR u.version = ANY (%(others)s::bigint[])"

VALORES = """jsonb_build_object(
               'username', u.username, 'nombre', u.nombre, 'apellido', u.apellido, 'direccion', u.direccion,
               'telefono', u.telefono, 'correo', u.correo, 'estado', u.estado, 'rol', u.rol,
               'bloqueado', u.bloqueado)"""

# As columns: on a sharded cluster RETURNING calls no function that is not immutable.
RETURNED = (
    "u.id, u.username, u.nombre, u.apellido, u.direccion, u.telefono, u.correo, u.estado, u.rol, u.bloqueado"
)

INSERT = f"""
-- usuarios.insert: a new user, recorded; admin if asked to be the first one and none is yet; uses usuario_rol_idx
WITH created AS (
    INSERT INTO usuario AS u (username, password, nombre, apellido, direccion, telefono, correo, estado, rol)
    SELECT %(username)s, %(password)s, %(nombre)s, %(apellido)s, %(direccion)s, %(telefono)s, %(correo)s, %(estado)s,
           CASE WHEN %(first_admin)s AND NOT EXISTS (SELECT 1 FROM usuario WHERE rol = 'admin')
                THEN 'admin' ELSE %(rol)s END
    RETURNING {RETURNED}
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, despues)
    SELECT %(actor)s, 'usuario_creado', u.id, %(address)s, %(agent)s, %(request_id)s,
           {VALORES}
      FROM created AS u
)
SELECT id, rol
  FROM created
"""

TAKEN = """
-- usuarios.taken: the constraint that a new user would violate, before the password is hashed, which is dear;
-- uses usuario_username_key, usuario_correo_key
SELECT CASE WHEN lower(username COLLATE minusculas) = lower(%(username)s COLLATE minusculas)
            THEN 'usuario_username_key' ELSE 'usuario_correo_key' END
  FROM usuario
 WHERE lower(username COLLATE minusculas) = lower(%(username)s COLLATE minusculas)
    OR lower(correo COLLATE minusculas) = lower(%(correo)s COLLATE minusculas)
 LIMIT 1
"""

SPELLED = """
-- usuarios.spelled: whether another user has a correo in this spelling, kept before domains had one form;
-- uses usuario_correo_key
SELECT EXISTS (SELECT 1
                 FROM usuario
                WHERE lower(correo COLLATE minusculas) = lower(%(correo)s COLLATE minusculas)
                  AND id <> %(id)s)
"""

BY_ID = """
-- usuarios.by_id: each asked public user; uses usuario_pkey
SELECT asked.n, u.version, u.id, u.username, u.nombre, u.apellido, u.correo
  FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)
  JOIN usuario AS u ON u.id = asked.id AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

PROFILE = """
-- usuarios.profile: each asked user's own data; uses usuario_pkey
SELECT asked.n, u.version, u.id, u.username, u.nombre, u.apellido, u.correo,
       u.direccion, u.telefono, u.estado, u.rol, u.creacion, u.actualizacion
  FROM unnest(%(id)s::bigint[]) WITH ORDINALITY AS asked (id, n)
  JOIN usuario AS u ON u.id = asked.id AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

CREDENTIALS = """
-- usuarios.credentials: the user who logs in by username or correo (no username has an @);
-- uses usuario_username_key, usuario_correo_key
SELECT id, username, correo, password, rol, estado, bloqueado, segundo_factor
  FROM usuario
 WHERE lower(username COLLATE minusculas) = lower(%(name)s COLLATE minusculas)
    OR lower(correo COLLATE minusculas) = lower(%(name)s COLLATE minusculas)
"""

CREDENTIALS_BY_ID = """
-- usuarios.credentials_by_id: the hash that a change of one's own password is checked against; uses usuario_pkey
SELECT id, username, correo, password, rol, estado, bloqueado, segundo_factor
  FROM usuario
 WHERE id = %(id)s
"""

UPDATE = f"""
-- usuarios.update: changes what was sent and records it, ends the sessions and links that it must, has the owner told
-- by mail, tells every process; not what would leave no admin; after another's change no link leads to an older correo;
-- uses usuario_pkey, usuario_rol_idx, sesion_pkey, enlace_pkey, aviso_pkey
WITH target AS (
    SELECT u.id, u.rol, u.estado, u.bloqueado, u.correo, {VALORES} AS valores,
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
              target.valores AS antes
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
), withdrawn AS (
    DELETE FROM aviso AS a
     USING changed
     WHERE (changed.new_password OR changed.new_correo)
       AND %(actor)s::bigint NOT IN (0, changed.id)
       AND a.usuario_id = changed.id
       AND a.correo <> changed.correo
), noticed AS (
    INSERT INTO aviso (usuario_id, tipo, correo, reversible, direccion, expira)
    SELECT changed.id, what.tipo, changed.old_correo, %(actor)s::bigint IN (0, changed.id), %(address)s,
           now() + interval '72 hours'
      FROM changed
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

RENEW = """
-- usuarios.renew: the hash of a password that was verified a moment ago, made anew; uses usuario_pkey
UPDATE usuario
   SET password = %(renewed)s
 WHERE id = %(id)s
   AND password = %(verified)s
"""

TO_DELETE = f"""WITH target AS (
    SELECT u.id, u.rol,
           CASE WHEN {MOVED_ON} THEN 'moved_on'
                WHEN {ALONE}
                 AND (SELECT min(other.id) FROM usuario AS other WHERE other.id <> u.id) IS NOT NULL THEN 'last_admin'
                ELSE 'done'
           END AS verdict
      FROM usuario AS u
     WHERE u.id = %(id)s
       AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
       FOR NO KEY UPDATE"""

RECORD_DELETED = f"""), anonymous AS (
    UPDATE auditoria AS a
{MADE_ANONYMOUS.format(id="%(id)s")}
     WHERE (a.usuario_id = %(id)s OR a.afectado_id = %(id)s)
       AND EXISTS (SELECT 1 FROM gone)
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes)
    SELECT %(actor)s, 'usuario_eliminado', id,
           CASE WHEN %(actor)s = id THEN '' ELSE %(address)s END,
           CASE WHEN %(actor)s = id THEN '' ELSE %(agent)s END,
           CASE WHEN %(actor)s = id THEN '' ELSE %(request_id)s END,
           jsonb_build_object('rol', rol)
      FROM gone
)
SELECT verdict, (SELECT pg_notify('revocacion', id::text) FROM gone)
  FROM target"""

DELETE = f"""
-- usuarios.delete: the user and, by cascade, their sales and sessions; recorded, and told to every process; the audit
-- forgets who they were; not the last admin while there are others;
-- uses usuario_pkey, usuario_rol_idx, sesion_pkey, venta_pkey, idempotencia_pkey, enlace_pkey, aviso_pkey, factor_pkey,
-- llave_pkey, eliminacion_pkey, auditoria_pkey, auditoria_afectado_id_idx
{TO_DELETE}
), gone AS (
    DELETE FROM usuario AS u
     USING target
     WHERE u.id = target.id
       AND target.verdict = 'done'
    RETURNING u.id, target.rol
{RECORD_DELETED}
"""


async def insert(
    db: Runner,
    origin: Origin,
    *,
    first_admin: bool,
    rol: Rol = "usuario",
    estado: bool = False,
    correo: str,
    **columns: str | None,
) -> Registered:
    """The new user. Raises ConstraintViolated when the username or the correo is taken."""
    parameters = structs.asdict(origin) | columns
    parameters |= {"first_admin": first_admin, "rol": rol, "estado": estado, "correo": correo}
    async with db.transaction() as tx:
        if first_admin:
            await tx.run(LOCK_FIRST_ADMIN)
        registered = await tx.one(Registered, INSERT, **parameters)
        assert registered is not None  # noqa: S101 - INSERT … RETURNING gives a row or raises
        await _refuse_others(tx, correo, registered.id)
    return registered


async def refuse_taken(db: Runner, username: str, correo: str) -> None:
    """Raises ConstraintViolated when the username or the correo is taken already.

    insert refuses a name that is taken after this."""
    for spelling in spellings(correo):
        if constraint := await db.one(str, TAKEN, username=username, correo=spelling):
            raise violated(constraint)


async def by_id(db: Runner, id: int) -> VersionedUser | None:
    return await db.gather(VersionedUser.of, BY_ID, id=id)


async def profile(db: Runner, id: int) -> Own | None:
    return await db.gather(Own.of, PROFILE, id=id)


async def credentials(db: Runner, name: str) -> Credenciales | None:
    """Of the user whose username or correo somebody typed so."""
    for spelling in spellings(name):
        if found := await db.one(Credenciales, CREDENTIALS, name=spelling):
            return found
    return None


async def credentials_by_id(db: Runner, id: int) -> Credenciales | None:
    return await db.one(Credenciales, CREDENTIALS_BY_ID, id=id)


async def lock(tx: Transaction, id: int) -> None:
    """Logins of the user wait from here on, so that the next statement sees every session."""
    await tx.run(LOCK, id=id)
    await sesiones.hold(tx, id)


async def renew(db: Runner, id: int, *, verified: str, renewed: str) -> bool:
    """Whether the hash is `renewed` now; not when `verified` is not the user's any more."""
    return await db.run(RENEW, id=id, verified=verified, renewed=renewed) > 0


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
        return await db.one(_verdict, UPDATE, **parameters) or "missing"
    async with db.transaction() as tx:
        await tx.run(LOCK_ADMINS if demotes else LOCK, id=id)
        await sesiones.hold(tx, id)
        verdict: Verdict = await tx.one(_verdict, UPDATE, **parameters) or "missing"
        if verdict == "done" and "correo" in changes:
            await _refuse_others(tx, str(changes["correo"]), id)
        return verdict


async def delete(
    db: Runner,
    id: int,
    origin: Origin,
    *,
    condition: Condition = ALWAYS,
    first_admin: bool = False,
    sql: str = DELETE,
) -> Verdict:
    """Deletes a user, by DELETE or by eliminaciones.START; the last admin only when there is nobody else.

    With `first_admin`, a registration meanwhile waits, and makes an admin if none is left."""
    parameters = structs.asdict(origin) | structs.asdict(condition) | {"random": str(uuid4())}
    async with db.transaction() as tx:
        if first_admin:
            await tx.run(LOCK_FIRST_ADMIN)
        await tx.run(LOCK_TO_DELETE, id=id)
        await sesiones.hold(tx, id)
        return await tx.one(_verdict, sql, id=id, **parameters) or "missing"


async def _refuse_others(tx: Transaction, correo: str, id: int) -> None:
    """Raises ConstraintViolated when another user than `id` had this correo until lately and may still take it back, or
    has it in a spelling that the unique index does not know as the same."""
    for spelling in spellings(correo):
        await avisos.refuse_reserved(tx, spelling, id)
        if spelling != correo and await tx.one(bool, SPELLED, correo=spelling, id=id):
            raise violated("usuario_correo_key")


def _verdict(verdict: Verdict, told: object) -> Verdict:
    """Leaves out that every process was told."""
    return verdict
