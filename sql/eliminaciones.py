"""Statements on eliminacion (migrations/0013_create_eliminacion.sql): accounts go at once, their sales after them."""

from msgspec import Struct

from core.database.database import Database, Runner
from sql.usuarios_deletion import RECORD_DELETED, TO_DELETE

MOST_AT_ONCE = 500  # rows that an account may have to be deleted in one statement, and that one step removes

LARGE = f"""
-- eliminaciones.large: whether an account has more than can go in one statement;
-- uses venta_usuario_id_creacion_idx, idempotencia_pkey
SELECT (SELECT count(*)
          FROM (SELECT 1 FROM venta WHERE usuario_id = %(id)s LIMIT {MOST_AT_ONCE + 1}) AS v)
     + (SELECT count(*)
          FROM (SELECT 1 FROM idempotencia WHERE usuario_id = %(id)s LIMIT {MOST_AT_ONCE + 1}) AS i)
     > {MOST_AT_ONCE}
"""

START = f"""
-- eliminaciones.start: an account goes, and what is left of it is hidden: its names are free, its sessions end; the
-- rest is as in usuarios_deletion.delete; uses usuario_pkey, usuario_rol_idx, sesion_pkey, enlace_pkey, aviso_pkey,
-- factor_pkey, llave_pkey, auditoria_pkey, auditoria_afectado_id_idx
{TO_DELETE}
), gone AS (
    INSERT INTO eliminacion (usuario_id)
    SELECT id
      FROM target
     WHERE verdict = 'done'
    RETURNING usuario_id AS id, (SELECT rol FROM target) AS rol
), emptied AS (
    UPDATE usuario
       SET username  = 'eliminado-' || %(random)s::text,
           correo    = %(random)s::text || '@eliminado.invalid',
           password  = '$2b$12$' || repeat('.', 53),
           nombre    = 'eliminado',
           apellido  = 'eliminado',
           direccion = NULL,
           telefono  = '000',
           estado    = false,
           rol       = 'usuario',
           bloqueado = true,
           version   = version + 1
      FROM gone
     WHERE usuario.id = gone.id
), ended AS (
    UPDATE sesion AS s
       SET fin    = now(),
           expira = now()
      FROM gone
     WHERE s.usuario_id = %(id)s
       AND s.fin IS NULL
), unsent AS (
    DELETE FROM enlace AS e
     USING gone
     WHERE e.usuario_id = gone.id
), untold AS (
    DELETE FROM aviso AS a
     USING gone
     WHERE a.usuario_id = gone.id
), unfactored AS (
    DELETE FROM factor AS f
     USING gone
     WHERE f.usuario_id = gone.id
), unlocked AS (
    DELETE FROM llave AS l
     USING gone
     WHERE l.usuario_id = gone.id
{RECORD_DELETED}
"""

NEXT = """
-- eliminaciones.next: an account that is deleted and that no other process is at; uses no index
SELECT usuario_id
  FROM eliminacion
 ORDER BY usuario_id
 LIMIT 1
   FOR UPDATE SKIP LOCKED
"""

# A row's owner is named for each row on one node, where an account of millions is found by its ids; and for all on a
# cluster, which finds the shard by it.
REMOVAL = f"""
WITH sales AS MATERIALIZED (
    SELECT usuario_id, id
      FROM venta
     WHERE usuario_id = %(usuario_id)s
       AND id > %(after)s
     ORDER BY id
     LIMIT {MOST_AT_ONCE}
), keys AS MATERIALIZED (
    SELECT usuario_id, clave
      FROM idempotencia
     WHERE usuario_id = %(usuario_id)s
     LIMIT {MOST_AT_ONCE}
), sold AS (
    DELETE FROM venta AS v
     USING sales
     WHERE v.usuario_id = {{seller}}
       AND v.id = sales.id
), used AS (
    DELETE FROM idempotencia AS i
     USING keys
     WHERE i.usuario_id = {{caller}}
       AND i.clave = keys.clave
)
SELECT %(usuario_id)s::bigint, coalesce((SELECT max(id) FROM sales), 0),
       (SELECT count(*) FROM sales) < {MOST_AT_ONCE} AND (SELECT count(*) FROM keys) < {MOST_AT_ONCE}
"""

STEP = f"""
-- eliminaciones.step: removes some rows of a deleted account, those after a given sale;
-- uses venta_pkey, venta_id_key, idempotencia_pkey\
{REMOVAL.format(seller="sales.usuario_id", caller="keys.usuario_id")}"""

STEP_ROUTED = f"""
-- eliminaciones.step_routed: the same on a cluster, of one shard alone;
-- uses venta_pkey, venta_id_key, venta_usuario_id_creacion_idx, idempotencia_pkey\
{REMOVAL.format(seller="%(usuario_id)s", caller="%(usuario_id)s")}"""

FINISH = """
-- eliminaciones.finish: the account itself, once it has hardly anything left; uses usuario_pkey, eliminacion_pkey,
-- venta_pkey, idempotencia_pkey, sesion_pkey, enlace_pkey, aviso_pkey, factor_pkey, llave_pkey
DELETE FROM usuario
 WHERE id = %(usuario_id)s
   AND id IN (SELECT usuario_id FROM eliminacion)
"""


class RemovalStep(Struct, frozen=True):
    """What a step did: whose rows, up to which sale, and whether they were the last."""

    usuario_id: int
    after: int
    last: bool


async def large(db: Runner, id: int) -> bool:
    """Whether an account has more than can be deleted in one statement."""
    return bool(await db.one(bool, LARGE, id=id))


async def step(db: Database, before: RemovalStep | None) -> RemovalStep | None:
    """Removes some rows of one account, after those of the step before; None when there is none to do."""
    async with db.transaction() as tx:
        account = await tx.one(int, NEXT)
        if account is None:
            return None
        after = before.after if before and before.usuario_id == account else 0
        sql = STEP_ROUTED if db.sharded else STEP
        done = await tx.one(RemovalStep, sql, usuario_id=account, after=after)
    if done and done.last:
        await db.run(FINISH, usuario_id=done.usuario_id)
    return done
