"""Statements on venta (migrations/0002_create_venta.sql); who changes or deletes a sale leaves a record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, structs

from core.caller import Origin
from core.condition import Change, Condition
from core.database.database import Runner
from core.instants import Instant
from sql.auditoria import Accion

Span = tuple[datetime, datetime]

MAX_ID = 2**63 - 1
Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Importe = Annotated[int, Meta(ge=0, le=10**15, description="amount, in cents", extra={"cell": "amount"})]
Productos = Annotated[int, Meta(ge=1, le=10**6, description="how many products")]


class Venta(Struct, frozen=True):
    """A sale; `venta` is its amount in cents, `creacion` is UTC."""

    id: int
    usuario_id: int
    venta: int
    ventas_productos: int
    creacion: Instant


class VersionedSale(Struct, frozen=True):
    """A sale and the version of its row, which its ETag carries."""

    version: int
    venta: Venta

    @staticmethod
    def of(version: int, *columns: object) -> "VersionedSale":
        return VersionedSale(version, Venta(*columns))  # type: ignore[arg-type]


class Insertion(Struct, frozen=True):
    """What became of a row of a batch, by its 0-based index: its new id; None when its owner does not exist."""

    indice: int
    id: int | None


INSERT = """
-- ventas.insert: each new sale, if its owner exists; null where it does and somebody has locked it; uses usuario_pkey
WITH owner AS MATERIALIZED (
    SELECT id
      FROM usuario
     WHERE id = ANY (%(usuario_id)s::bigint[])
       AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
       FOR KEY SHARE SKIP LOCKED
), new AS MATERIALIZED (
    SELECT asked.n, nextval('venta_id_seq') AS id, owner.id AS usuario_id, asked.venta, asked.ventas_productos
      FROM unnest(%(usuario_id)s::bigint[], %(venta)s::bigint[], %(ventas_productos)s::bigint[])
           WITH ORDINALITY AS asked (usuario_id, venta, ventas_productos, n)
      JOIN owner ON owner.id = asked.usuario_id
), inserted AS (
    INSERT INTO venta (id, usuario_id, venta, ventas_productos)
    SELECT id, usuario_id, venta, ventas_productos
      FROM new
)
SELECT n, id
  FROM new
 UNION ALL
SELECT asked.n, NULL
  FROM unnest(%(usuario_id)s::bigint[]) WITH ORDINALITY AS asked (usuario_id, n)
  JOIN usuario AS u ON u.id = asked.usuario_id
 WHERE asked.usuario_id <> ALL (ARRAY(SELECT id FROM owner UNION ALL SELECT usuario_id FROM eliminacion))
"""

INSERT_MANY = """
-- ventas.insert_many: a batch of sales with rising ids; or none, and the rows whose owner does not exist;
-- uses usuario_pkey
WITH asked AS (
    SELECT n, usuario_id, venta, ventas_productos
      FROM unnest(%(usuario_id)s::bigint[], %(venta)s::bigint[], %(ventas_productos)s::bigint[])
           WITH ORDINALITY AS asked (usuario_id, venta, ventas_productos, n)
), missing AS MATERIALIZED (
    SELECT asked.n
      FROM asked
      LEFT JOIN usuario AS u ON u.id = asked.usuario_id
                            AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
     WHERE u.id IS NULL
), accepted AS (
    SELECT n, usuario_id, venta, ventas_productos
      FROM asked
     WHERE NOT EXISTS (SELECT 1 FROM missing)
     ORDER BY n
), new AS MATERIALIZED (
    SELECT n, nextval('venta_id_seq') AS id, usuario_id, venta, ventas_productos
      FROM accepted
), inserted AS (
    INSERT INTO venta (id, usuario_id, venta, ventas_productos)
    SELECT id, usuario_id, venta, ventas_productos
      FROM new
)
SELECT n - 1, id
  FROM new
 UNION ALL
SELECT n - 1, NULL
  FROM missing
 ORDER BY 1
"""

BY_ID = """
-- ventas.by_id: each asked sale, if its asker may see it; uses venta_id_key
SELECT asked.n, v.version, v.id, v.usuario_id, v.venta, v.ventas_productos, v.creacion
  FROM unnest(%(id)s::bigint[], %(owner)s::bigint[]) WITH ORDINALITY AS asked (id, owner, n)
  JOIN venta AS v ON v.id = asked.id AND v.usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
 WHERE asked.owner IS NULL
    OR v.usuario_id = asked.owner
"""

# The sale is locked first: `antes` is then what the change really changed, whatever others do at the same time.
TARGET = """
WITH target AS (
    SELECT usuario_id, id, venta, ventas_productos, creacion, version
      FROM venta
     WHERE usuario_id = %(usuario_id)s
       AND id = %(id)s
       AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
       FOR NO KEY UPDATE
), """

RECORDED = """
), recorded AS (
    INSERT INTO auditoria (usuario_id, accion, afectado_id, direccion, agente, peticion, antes, despues)
    SELECT %(actor)s, %(accion)s, %(usuario_id)s, %(address)s, %(agent)s, %(request_id)s,"""

UPDATE = f"""
-- ventas.update: changes what was sent of one user's sale, if the version is one asked for; recorded;
-- uses venta_id_key{TARGET}changed AS (
    UPDATE venta AS v
       SET venta            = coalesce(%(venta)s, v.venta),
           ventas_productos = coalesce(%(ventas_productos)s, v.ventas_productos),
           creacion         = coalesce(%(creacion)s::timestamptz, v.creacion),
           actualizacion    = now(),
           version          = v.version + 1
      FROM target
     WHERE v.usuario_id = %(usuario_id)s
       AND v.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR target.version = ANY (%(versions)s))
       AND target.version <> ALL (%(others)s::bigint[])
       AND target.creacion >= %(since)s::timestamptz
       AND target.creacion < %(until)s::timestamptz
    RETURNING v.id, v.venta, v.ventas_productos, v.creacion{RECORDED}
           jsonb_build_object('id', old.id, 'venta', old.venta, 'ventas_productos', old.ventas_productos, 'creacion',
                              to_char(old.creacion AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
           jsonb_build_object('id', new.id, 'venta', new.venta, 'ventas_productos', new.ventas_productos, 'creacion',
                              to_char(new.creacion AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      FROM target AS old
      JOIN changed AS new ON new.id = old.id
)
SELECT EXISTS (SELECT 1 FROM target), EXISTS (SELECT 1 FROM changed)
"""

DELETE = f"""
-- ventas.delete: one user's sale, if the version is one asked for; recorded; uses venta_id_key{TARGET}gone AS (
    DELETE FROM venta AS v
     USING target
     WHERE v.usuario_id = %(usuario_id)s
       AND v.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR target.version = ANY (%(versions)s))
       AND target.version <> ALL (%(others)s::bigint[])
    RETURNING v.id{RECORDED}
           jsonb_build_object('id', old.id, 'venta', old.venta, 'ventas_productos', old.ventas_productos, 'creacion',
                              to_char(old.creacion AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')),
           NULL
      FROM target AS old
      JOIN gone ON gone.id = old.id
)
SELECT EXISTS (SELECT 1 FROM target), EXISTS (SELECT 1 FROM gone)
"""


async def insert(db: Runner, usuario_id: int, venta: int, ventas_productos: int) -> int | None:
    """The new sale's id; None when there is no such user."""
    return await db.gather(int, INSERT, usuario_id=usuario_id, venta=venta, ventas_productos=ventas_productos)


async def insert_many(
    db: Runner, usuario_id: Sequence[int], venta: Sequence[int], ventas_productos: Sequence[int]
) -> list[Insertion]:
    """All of the sales, given by columns, in their order; or none: then, the rows whose owner does not exist."""
    return await db.many(
        Insertion,
        INSERT_MANY,
        usuario_id=list(usuario_id),
        venta=list(venta),
        ventas_productos=list(ventas_productos),
    )


async def by_id(db: Runner, id: int, owner: int | None) -> VersionedSale | None:
    """The sale, if it is `owner`'s, or whoever's without `owner`."""
    return await db.gather(VersionedSale.of, BY_ID, id=id, owner=owner)


async def update(
    db: Runner,
    id: int,
    origin: Origin,
    *,
    usuario_id: int,
    condition: Condition,
    venta: int | None,
    ventas_productos: int | None,
    creacion: datetime | None = None,
    made: Span | None = None,
) -> Change:
    """Sets the columns that are not None, if the sale is `usuario_id`'s and its version meets `condition`.

    With `made`, it must have been made in that span too."""
    since, until = made or ("-infinity", "infinity")
    columns = {
        "venta": venta,
        "ventas_productos": ventas_productos,
        "creacion": creacion,
        "since": since,
        "until": until,
    }
    return await _change(db, UPDATE, "venta_actualizada", id, origin, usuario_id, condition, **columns)


async def delete(db: Runner, id: int, origin: Origin, *, usuario_id: int, condition: Condition) -> Change:
    """As `update`: the sale, if it is `usuario_id`'s and its version meets `condition`."""
    return await _change(db, DELETE, "venta_eliminada", id, origin, usuario_id, condition)


async def _change(
    db: Runner,
    sql: str,
    accion: Accion,
    id: int,
    origin: Origin,
    usuario_id: int,
    condition: Condition,
    **columns: object,
) -> Change:
    parameters = (
        structs.asdict(origin) | structs.asdict(condition) | {"accion": accion, "usuario_id": usuario_id}
    )
    return await db.one(Change, sql, id=id, **parameters, **columns) or Change(found=False, changed=False)
