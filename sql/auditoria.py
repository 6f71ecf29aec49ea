"""Statements on auditoria (migrations/0005_create_auditoria.sql); append-only."""

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct, structs

from core.caller import Origin
from core.database.database import Runner
from core.instants import Instant

Accion = Literal[
    "admin_nombrado",
    "cambio_deshecho",
    "cambio_rechazado",
    "correo_verificado",
    "factor_activado",
    "factor_quitado",
    "llave_creada",
    "llave_revocada",
    "login",
    "login_fallido",
    "password_restablecido",
    "refresh_repetido",
    "sesion_terminada",
    "usuario_actualizado",
    "usuario_creado",
    "usuario_eliminado",
    "venta_actualizada",
    "venta_eliminada",
]


class Registro(Struct, frozen=True):
    """What happened. `usuario_id` did it (null: nobody proved to be anyone) to `afectado_id`, from `direccion`.

    `antes` and `despues` are the values of what was changed, or say more about it."""

    id: int
    creacion: Instant
    usuario_id: int | None
    accion: str
    afectado_id: int | None
    direccion: str
    agente: str
    peticion: str
    antes: dict[str, Any] | None
    despues: dict[str, Any] | None


class AuditPlace(NamedTuple):
    """A place in the list, newest first: what stands after it is older, or as old and of a lower id."""

    creacion: datetime
    id: int


class AuditFilters(Struct, frozen=True):
    """Which records: by whom, to whom, of what, `desde` <= creacion < `hasta`."""

    usuario_id: int | None = None
    afectado_id: int | None = None
    accion: str | None = None
    desde: datetime | None = None
    hasta: datetime | None = None

    def parameters(self, after: AuditPlace | None = None) -> dict[str, object]:
        """Every bound has a value, so that it is a bound of the index scan."""
        start = AuditPlace(self.hasta or datetime.max.replace(tzinfo=UTC), 0)
        before, before_id = min(start, after) if after else start
        return {
            "before": before,
            "before_id": before_id,
            "desde": self.desde or datetime.min.replace(tzinfo=UTC),
            "usuario_id": self.usuario_id,
            "afectado_id": self.afectado_id,
            "accion": self.accion,
        }


RECORD = """
-- auditoria.record: what happened where no other statement changes anything; uses no index
INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, despues)
VALUES (%(actor)s, %(accion)s, %(afectado_id)s, %(address)s, %(agent)s, %(request_id)s, %(despues)s::jsonb)
"""

# What a record holds of a person; the keys of antes and despues that are none of these are of the account.
PERSONAL = "ARRAY['username', 'nombre', 'apellido', 'direccion', 'telefono', 'correo']"

# What becomes of the records a of a deleted user, whose id fills {id}: by them, to them, or by nobody known to them.
MADE_ANONYMOUS = f"""   SET direccion = CASE WHEN a.usuario_id IN (0, {{id}}) THEN '' ELSE a.direccion END,
       agente    = CASE WHEN a.usuario_id IN (0, {{id}}) THEN '' ELSE a.agente END,
       peticion  = CASE WHEN a.usuario_id IN (0, {{id}}) THEN '' ELSE a.peticion END,
       antes     = CASE WHEN a.afectado_id = {{id}} THEN a.antes - {PERSONAL} ELSE a.antes END,
       despues   = CASE WHEN a.afectado_id = {{id}} THEN a.despues - {PERSONAL} ELSE a.despues END"""

COLUMNS = (
    "id, creacion, nullif(usuario_id, 0), accion, afectado_id, direccion, agente, peticion, antes, despues"
)

MATCHING = """
  FROM auditoria
 WHERE (creacion, id) < (%(before)s::timestamptz, %(before_id)s::bigint)
   AND creacion >= %(desde)s::timestamptz
   AND (%(usuario_id)s::bigint IS NULL OR usuario_id = %(usuario_id)s)
   AND (%(afectado_id)s::bigint IS NULL OR afectado_id = %(afectado_id)s)
   AND (%(accion)s::text IS NULL OR accion = %(accion)s)"""

NEWEST_FIRST = """
 ORDER BY creacion DESC, id DESC
 LIMIT %(limit)s
"""

PAGE = f"""
-- auditoria.page: what happened before a place, newest first; uses auditoria_creacion_idx
SELECT {COLUMNS}{MATCHING}{NEWEST_FIRST}"""

PAGE_BY_USER = f"""
-- auditoria.page_by_user: what one user did; uses auditoria_pkey
SELECT {COLUMNS}{MATCHING}
   AND usuario_id = %(usuario_id)s{NEWEST_FIRST}"""

PAGE_BY_AFFECTED = f"""
-- auditoria.page_by_affected: what was done to one user; uses auditoria_afectado_id_idx
SELECT {COLUMNS}{MATCHING}
   AND afectado_id = %(afectado_id)s{NEWEST_FIRST}"""

# Not `accion = …`: then its index would give the order no sooner than auditoria_creacion_idx, which may be read instead
# from end to end for an accion that is rare.
PAGE_BY_ACCION = f"""
-- auditoria.page_by_accion: what happened of one kind; uses auditoria_accion_idx
SELECT {COLUMNS}{MATCHING}
   AND accion = ANY (ARRAY[%(accion)s])
 ORDER BY accion DESC, creacion DESC, id DESC
 LIMIT %(limit)s
"""

COUNT = f"""
-- auditoria.count: how many records a list has in all, when asked; reads all that match; uses auditoria_creacion_idx
SELECT count(*){MATCHING}
"""

ESTIMATE = f"""
-- auditoria.estimate: about how many records a list has, as the planner sees it; reads no row
EXPLAIN (FORMAT JSON)
SELECT id{MATCHING}
"""


async def record(
    db: Runner, accion: Accion, origin: Origin, *, affected: int | None, **despues: object
) -> None:
    """Adds a record of what was refused, or of what another statement did not record itself."""
    text = msgspec.json.encode(despues).decode() if despues else None
    parameters = structs.asdict(origin) | {"accion": accion, "afectado_id": affected, "despues": text}
    await db.run(RECORD, **parameters)


async def page(db: Runner, filters: AuditFilters, *, after: AuditPlace | None, limit: int) -> list[Registro]:
    """Up to `limit` records, newest first, those after `after`."""
    statement = PAGE
    if filters.usuario_id is not None:
        statement = PAGE_BY_USER
    elif filters.afectado_id is not None:
        statement = PAGE_BY_AFFECTED
    elif filters.accion is not None:
        statement = PAGE_BY_ACCION
    return await db.many(Registro, statement, limit=limit, **filters.parameters(after))


async def count(db: Runner, filters: AuditFilters) -> int:
    return await db.one(int, COUNT, **filters.parameters()) or 0


async def estimate(db: Runner, filters: AuditFilters) -> int:
    """About how many, by the statistics of the last ANALYZE."""
    return await db.one(_plan_rows, ESTIMATE, **filters.parameters()) or 0


def _plan_rows(explained: list[dict[str, Any]]) -> int:
    rows: int = explained[0]["Plan"]["Plan Rows"]
    return rows
