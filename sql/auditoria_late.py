"""Late records: what was on its way into auditoria while its user was deleted, and so kept what the others lost."""

from core.database.database import Runner
from sql.auditoria import MADE_ANONYMOUS, PERSONAL

ANONYMIZE = f"""
-- auditoria_late.anonymize: takes away what records say of who was deleted within a day, some at a time: those that
-- were written meanwhile, or after it;
-- uses auditoria_accion_idx, auditoria_pkey, auditoria_afectado_id_idx, auditoria_creacion_idx
WITH gone AS MATERIALIZED (
    SELECT afectado_id AS id, creacion - interval '1 hour' AS since
      FROM auditoria
     WHERE accion = 'usuario_eliminado'
       AND creacion > now() - interval '1 day'
), late AS MATERIALIZED (
    SELECT gone.id AS de, found.usuario_id, found.creacion, found.id
      FROM gone
     CROSS JOIN LATERAL (
           SELECT usuario_id, creacion, id
             FROM auditoria
            WHERE usuario_id = gone.id
              AND creacion >= gone.since
              AND (direccion <> '' OR agente <> '' OR peticion <> '')
            UNION ALL
           SELECT usuario_id, creacion, id
             FROM auditoria
            WHERE afectado_id = gone.id
              AND creacion >= gone.since
              AND (usuario_id = 0 AND (direccion <> '' OR agente <> '' OR peticion <> '')
                   OR antes ?| {PERSONAL}
                   OR despues ?| {PERSONAL})
           ) AS found
     LIMIT 100
)
UPDATE auditoria AS a
{MADE_ANONYMOUS.format(id="late.de")}
  FROM late
 WHERE a.usuario_id = late.usuario_id
   AND a.creacion = late.creacion
   AND a.id = late.id
"""


async def anonymize(db: Runner) -> int:
    """How many records lost what they said of a deleted user, up to 100."""
    return await db.run(ANONYMIZE)
