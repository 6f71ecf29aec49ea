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
        """Leaves out that every process was told."""
        return Rotation(verdict, contador, rol)


ROTATE = """
-- sesiones_rotation.rotate: takes a refresh token; the one before the current one, which then was never used, finds it
-- again; an older one ends the session; uses sesion_pkey, usuario_pkey
WITH held AS (
    SELECT s.usuario_id, s.id, s.contador, u.rol,
           CASE WHEN u.bloqueado THEN 'blocked'
                WHEN s.contador = %(counter)s THEN 'rotated'
                WHEN s.contador = %(counter)s + 1 THEN 'repeated'
                ELSE 'replayed'
           END AS verdict
      FROM sesion AS s
      JOIN usuario AS u ON u.id = s.usuario_id
     WHERE s.usuario_id = %(usuario_id)s
       AND s.id = %(id)s
       AND s.renovable
       AND (u.bloqueado
            OR s.fin IS NULL
            AND s.expira > now()
            AND s.uso > now() - %(idle)s * interval '1 second'
            AND (u.estado OR NOT %(verified_only)s))
       FOR NO KEY UPDATE OF s
), used AS (
    UPDATE sesion AS s
       SET contador  = s.contador + (held.verdict = 'rotated')::int,
           uso       = now(),
           direccion = %(address)s,
           agente    = %(agent)s
      FROM held
     WHERE held.verdict IN ('rotated', 'repeated')
       AND s.usuario_id = held.usuario_id
       AND s.id = held.id
), ended AS (
    UPDATE sesion AS s
       SET fin    = now(),
           expira = now()
      FROM held
     WHERE held.verdict = 'replayed'
       AND s.usuario_id = held.usuario_id
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


async def rotate(
    db: Database, used: RefreshToken, origin: Origin, *, idle: int, verified_only: bool
) -> Rotation | None:
    """What becomes of a refresh token; None when its session is over. `idle` is in seconds."""
    return await db.one(
        Rotation.of,
        ROTATE,
        usuario_id=used.usuario_id,
        id=used.session,
        counter=used.counter,
        idle=idle,
        verified_only=verified_only,
        **structs.asdict(origin),
    )
