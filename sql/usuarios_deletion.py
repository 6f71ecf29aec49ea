"""Statements that delete a row of usuario (migrations/0001_create_usuario.sql), with all that is the user's."""

from uuid import uuid4

from msgspec import structs

from core.caller import Origin
from core.condition import ALWAYS, Condition
from core.database.database import Runner
from sql import logins, usuarios_new
from sql.auditoria import MADE_ANONYMOUS
from sql.usuarios_change import ALONE, MOVED_ON, Verdict, verdict_of

LOCK_TO_DELETE = """
-- usuarios_deletion.lock_to_delete: the same for a user who is to be deleted, with the other admins where it is one;
-- uses usuario_pkey, usuario_rol_idx
SELECT id
  FROM usuario
 WHERE id = %(id)s
    OR rol = 'admin' AND EXISTS (SELECT 1 FROM usuario WHERE id = %(id)s AND rol = 'admin')
 ORDER BY id
   FOR NO KEY UPDATE
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
-- usuarios_deletion.delete: the user and, by cascade, their sales and sessions; recorded, and told to every process;
-- the audit forgets who they were; not the last admin while there are others;
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
            await tx.run(usuarios_new.LOCK_FIRST_ADMIN)
        await tx.run(LOCK_TO_DELETE, id=id)
        await logins.hold(tx, id)
        return await tx.one(verdict_of, sql, id=id, **parameters) or "missing"
