"""A new sale under an Idempotency-Key: one statement claims the key, makes the sale and keeps the answer."""

from core.database.database import Runner
from sql.idempotencia import UNKNOWN_ID, Claim, KeyTaken
from sql.ventas import GIVEN, NEW

KEY = "turno, quien, clave, huella, estado, cabeceras, cuerpo"

# A sale that has to wait says for what: those who wait for the same wait together.
INSERT = f"""
-- ventas_once.insert: each new sale whose key is new or expired, with the answer that its key then has; false where the
-- key is taken; null where another transaction has the key, or a user is locked; uses usuario_pkey, idempotencia_pkey
WITH asked AS MATERIALIZED (
    SELECT n, {KEY}, {NEW},
           pg_try_advisory_xact_lock(turno)::text <> 'false' AS free
      FROM unnest(%(turno)s::bigint[], %(quien)s::bigint[], %(clave)s::text[], %(huella)s::bytea[],
                  %(estado)s::bigint[], %(cabeceras)s::text[], %(cuerpo)s::text[], {GIVEN})
           WITH ORDINALITY AS asked ({KEY}, {NEW}, n)
), owner AS MATERIALIZED (
    SELECT id
      FROM usuario
     WHERE id = ANY (%(usuario_id)s::bigint[] || %(quien)s::bigint[])
       AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
       FOR KEY SHARE SKIP LOCKED
), met AS MATERIALIZED (
    SELECT n, {KEY}, {NEW}, free,
           CASE WHEN usuario_id NOT IN (SELECT id FROM owner) THEN usuario_id
                WHEN quien NOT IN (SELECT id FROM owner) THEN quien
           END AS absent
      FROM asked
), new AS MATERIALIZED (
    SELECT n, nextval('venta_id_seq') AS id, {KEY}, {NEW}
      FROM met
     WHERE free
       AND absent IS NULL
), claimed AS (
    INSERT INTO idempotencia AS i (usuario_id, clave, huella, estado, cabeceras, cuerpo)
    SELECT quien, clave, huella, estado, replace(cabeceras, '{UNKNOWN_ID}', id::text)::jsonb,
           convert_to(replace(cuerpo, '{UNKNOWN_ID}', id::text), 'UTF8')
      FROM new
        ON CONFLICT (usuario_id, clave) DO UPDATE
       SET creacion  = EXCLUDED.creacion,
           expira    = EXCLUDED.expira,
           huella    = EXCLUDED.huella,
           estado    = EXCLUDED.estado,
           cabeceras = EXCLUDED.cabeceras,
           cuerpo    = EXCLUDED.cuerpo
     WHERE i.expira <= EXCLUDED.creacion
    RETURNING usuario_id, clave
), settled AS MATERIALIZED (
    SELECT n, id, {NEW}, (quien, clave) IN (SELECT usuario_id, clave FROM claimed) AS mine
      FROM new
), inserted AS (
    INSERT INTO venta (id, {NEW})
    SELECT id, {NEW}
      FROM settled
     WHERE mine
)
SELECT n, mine, id
  FROM settled
 UNION ALL
SELECT n, NULL, turno
  FROM met
 WHERE NOT free
 UNION ALL
SELECT met.n, NULL, u.id
  FROM met
  JOIN usuario AS u ON u.id = met.absent
 WHERE met.free
   AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""


async def insert(db: Runner, claim: Claim, usuario_id: int, venta: int, ventas_productos: int) -> int | None:
    """The new sale's id; None when there is no such user.

    Raises KeyTaken when the key is not the request's, and DatabaseUnavailable (DB_SLOW) when the request that has it
    takes too long."""
    sale = {"usuario_id": usuario_id, "venta": venta, "ventas_productos": ventas_productos}
    return await db.gather(_id, INSERT, **claim.parameters, **sale)


def _id(mine: bool, id: int) -> int:
    if not mine:
        raise KeyTaken
    return id
