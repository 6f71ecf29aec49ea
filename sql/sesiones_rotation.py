"""Rotation: a session's refresh token, used, becomes the next one (migrations/0003_create_sesion.sql)."""

from typing import Literal

from msgspec import Struct, structs

from core.auth.refresh import RefreshToken
from core.caller import Origin, Rol
from core.database.database import Database

Verdict = Literal["rotated", "repeated", "replayed", "blocked"]


class Rotation(Struct, frozen=True):
    """What became of a refresh token: `rotated`, `repeated`, `replayed`, which ended its session, or `blocked`, which
    its user is.

    `contador` is the number of the token that is good now."""

    verdict: Verdict
    contador: int
    rol: Rol

    @staticmethod
    def of(verdict: Verdict, contador: int, rol: Rol, told: object) -> "Rotation":
        """Of a row, whose last column is what pg_notify gives, which is nothing."""
        return Rotation(verdict, contador, rol)


VERDICT = """CASE WHEN u.bloqueado THEN 'blocked'
                WHEN s.contador = {counter} THEN 'rotated'
                WHEN s.contador = {counter} + 1 THEN 'repeated'
                ELSE 'replayed'
           END"""
STANDS = """s.renovable
       AND (u.bloqueado
            OR s.fin IS NULL
            AND s.expira > now()
            AND s.uso > now() - {idle} * interval '1 second'
            AND (u.estado OR NOT {verified_only}))"""
OF_EACH = STANDS.format(idle="asked.idle", verified_only="asked.verified_only")

ROTATE = f"""
-- sesiones_rotation.rotate: takes a refresh token; the one before the current one, which then was never used, finds it
-- again; an older one ends the session; uses sesion_pkey, usuario_pkey
WITH held AS (
    SELECT s.usuario_id, s.id, s.contador, u.rol,
           {VERDICT.format(counter="%(counter)s")} AS verdict
      FROM sesion AS s
      JOIN usuario AS u ON u.id = s.usuario_id
     WHERE s.usuario_id = %(usuario_id)s
       AND s.id = %(id)s
       AND {STANDS.format(idle="%(idle)s", verified_only="%(verified_only)s")}
       FOR NO KEY UPDATE OF s
), used AS (
    UPDATE sesion AS s
       SET contador  = s.contador + (held.verdict = 'rotated')::int,
           uso       = now(),
           direccion = %(address)s,
           agente    = %(agent)s
      FROM held
     WHERE held.verdict IN ('rotated', 'repeated')
       AND s.usuario_id = %(usuario_id)s
       AND s.id = held.id
), ended AS (
    UPDATE sesion AS s
       SET fin    = now(),
           expira = now()
      FROM held
     WHERE held.verdict = 'replayed'
       AND s.usuario_id = %(usuario_id)s
       AND s.id = held.id
    RETURNING s.usuario_id, s.id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes)
    SELECT %(actor)s, 'refresh_repetido', usuario_id, %(address)s, %(agent)s, %(request_id)s,
           jsonb_build_object('sesion', id)
      FROM ended
)
SELECT verdict, contador + (verdict = 'rotated')::int, rol,
       (SELECT pg_notify('revocacion', usuario_id::text) FROM ended)
  FROM held
"""

# Of two who hold tokens of one session, both get the next one, as if the older one had come first; if one of them is
# replayed, both are told so.
ROTATE_EACH = f"""
-- sesiones_rotation.rotate_each: as rotate, for each asker; null, and which, where somebody has the session locked;
-- uses sesion_pkey, usuario_pkey
WITH asked AS MATERIALIZED (
    SELECT n, usuario_id, id, counter, idle, verified_only, actor, address, agent, request_id
      FROM unnest(%(usuario_id)s::bigint[], %(id)s::bigint[], %(counter)s::bigint[], %(idle)s::bigint[],
                  %(verified_only)s::boolean[], %(actor)s::bigint[], %(address)s::text[], %(agent)s::text[],
                  %(request_id)s::text[])
           WITH ORDINALITY
           AS asked (usuario_id, id, counter, idle, verified_only, actor, address, agent, request_id, n)
), held AS MATERIALIZED (
    SELECT asked.n, s.usuario_id, s.id, s.contador, u.rol,
           {VERDICT.format(counter="asked.counter")} AS verdict
      FROM asked
      JOIN sesion AS s ON s.usuario_id = asked.usuario_id AND s.id = asked.id
      JOIN usuario AS u ON u.id = s.usuario_id
     WHERE {OF_EACH}
       FOR NO KEY UPDATE OF s SKIP LOCKED
), judged AS MATERIALIZED (
    SELECT n, usuario_id, id, contador, rol,
           CASE WHEN bool_or(verdict = 'replayed') OVER (PARTITION BY usuario_id, id) THEN 'replayed'
                ELSE verdict
           END AS verdict
      FROM held
), latest AS MATERIALIZED (
    SELECT DISTINCT ON (judged.usuario_id, judged.id) judged.usuario_id, judged.id, judged.verdict, asked.actor,
           asked.address, asked.agent, asked.request_id
      FROM judged
      JOIN asked ON asked.n = judged.n
     ORDER BY judged.usuario_id, judged.id, judged.verdict DESC
), used AS (
    UPDATE sesion AS s
       SET contador  = s.contador + (latest.verdict = 'rotated')::int,
           uso       = now(),
           direccion = latest.address,
           agente    = latest.agent
      FROM latest
     WHERE latest.verdict IN ('rotated', 'repeated')
       AND s.usuario_id = latest.usuario_id
       AND s.id = latest.id
), ended AS (
    UPDATE sesion AS s
       SET fin    = now(),
           expira = now()
      FROM latest
     WHERE latest.verdict = 'replayed'
       AND s.usuario_id = latest.usuario_id
       AND s.id = latest.id
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes)
    SELECT actor, 'refresh_repetido', usuario_id, address, agent, request_id, jsonb_build_object('sesion', id)
      FROM latest
     WHERE verdict = 'replayed'
)
SELECT n, verdict, contador + (verdict = 'rotated')::int, rol,
       CASE WHEN verdict = 'replayed' THEN pg_notify('revocacion', usuario_id::text)::text END
  FROM judged
 UNION ALL
SELECT asked.n, NULL, s.id, NULL, NULL
  FROM asked
  JOIN sesion AS s ON s.usuario_id = asked.usuario_id AND s.id = asked.id
  JOIN usuario AS u ON u.id = s.usuario_id
 WHERE asked.n NOT IN (SELECT n FROM held)
   AND {OF_EACH}
"""


async def rotate(
    db: Database, used: RefreshToken, origin: Origin, *, idle: int, verified_only: bool
) -> Rotation | None:
    """What becomes of a refresh token; None when its session is over. `idle` is in seconds."""
    parameters = structs.asdict(origin)
    parameters |= {"usuario_id": used.usuario_id, "id": used.session, "counter": used.counter}
    parameters |= {"idle": idle, "verified_only": verified_only}
    if db.sharded or not db.lanes:
        return await db.one(Rotation.of, ROTATE, **parameters)
    return await db.gather(Rotation.of, ROTATE_EACH, **parameters)
