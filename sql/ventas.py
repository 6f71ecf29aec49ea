"""Statements on venta (migrations/0002_create_venta.sql); each change and deletion of a sale leaves a record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, structs

from core.caller import Origin
from core.condition import Change, Condition
from core.database.database import Runner
from core.instants import Instant
from core.problems import NO_USER, ConstraintViolated
from sql import usuarios
from sql.auditoria import Accion

Span = tuple[datetime, datetime]

MAX_ID = 2**63 - 1
Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Importe = Annotated[int, Meta(ge=0, le=10**15, description="amount, in cents", extra={"cell": "amount"})]
Productos = Annotated[int, Meta(ge=1, le=10**6, description="how many products")]


class Venta(Struct, frozen=True, gc=False):
    """A sale; `venta` is its amount in cents, `creacion` is UTC."""

    id: int
    usuario_id: int
    venta: int
    ventas_productos: int
    creacion: Instant


# What there is of a sale stands in Venta: a new column is one more field of it, and each statement has it.
COLUMNS = ", ".join(Venta.__struct_fields__)
COLUMNS_OF_V = ", ".join(f"v.{name}" for name in Venta.__struct_fields__)
WRITTEN = [
    name for name in Venta.__struct_fields__ if name not in ("id", "usuario_id", "creacion")
]  # by clients
NEW = ", ".join(["usuario_id", *WRITTEN])
GIVEN = ", ".join(f"%({name})s::bigint[]" for name in ["usuario_id", *WRITTEN])
ONE = ", ".join(f"%({name})s" for name in ["usuario_id", *WRITTEN])
ASKED = f"unnest({GIVEN}) WITH ORDINALITY AS asked ({NEW}, n)"
CHANGES = ", ".join(f"{name} = coalesce(%({name})s, v.{name})" for name in WRITTEN)
RECORD = (
    "jsonb_build_object('id', {row}.id, "
    + "".join(f"'{name}', {{row}}.{name}, " for name in WRITTEN)
    + """'creacion', to_char({row}.creacion AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))"""
)


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


INSERT = f"""
-- ventas.insert: each new sale, if its owner exists; null where it does and somebody has locked it; uses usuario_pkey
WITH owner AS MATERIALIZED (
    SELECT id
      FROM usuario
     WHERE id = ANY (%(usuario_id)s::bigint[])
       AND id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
       FOR KEY SHARE SKIP LOCKED
), met AS MATERIALIZED (
    SELECT n, {NEW}, usuario_id IN (SELECT id FROM owner) AS owned
      FROM {ASKED}
), new AS MATERIALIZED (
    SELECT n, nextval('venta_id_seq') AS id, {NEW}
      FROM met
     WHERE owned
), inserted AS (
    INSERT INTO venta (id, {NEW})
    SELECT id, {NEW}
      FROM new
)
SELECT n, id
  FROM new
 UNION ALL
SELECT met.n, NULL
  FROM met
  JOIN usuario AS u ON u.id = met.usuario_id
 WHERE NOT met.owned
   AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

INSERT_MANY = f"""
-- ventas.insert_many: a batch of sales with rising ids; or none, and the rows whose owner does not exist;
-- uses usuario_pkey
WITH asked AS (
    SELECT n, {NEW}
      FROM {ASKED}
), missing AS MATERIALIZED (
    SELECT asked.n
      FROM asked
      LEFT JOIN usuario AS u ON u.id = asked.usuario_id
                            AND u.id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
     WHERE u.id IS NULL
), accepted AS (
    SELECT n, {NEW}
      FROM asked
     WHERE NOT EXISTS (SELECT 1 FROM missing)
     ORDER BY n
), new AS MATERIALIZED (
    SELECT n, nextval('venta_id_seq') AS id, {NEW}
      FROM accepted
), inserted AS (
    INSERT INTO venta (id, {NEW})
    SELECT id, {NEW}
      FROM new
)
SELECT n - 1, id
  FROM new
 UNION ALL
SELECT n - 1, NULL
  FROM missing
 ORDER BY 1
"""

INSERT_ROUTED = f"""
-- ventas.insert_routed: a new sale on a cluster, written and committed on its owner's shard alone; uses no index
INSERT INTO venta (id, {NEW})
VALUES (nextval('venta_id_seq'), {ONE})
RETURNING id
"""

BY_ID = f"""
-- ventas.by_id: each asked sale, if its asker may see it; uses venta_id_key
SELECT asked.n, v.version, {COLUMNS_OF_V}
  FROM unnest(%(id)s::bigint[], %(owner)s::bigint[]) WITH ORDINALITY AS asked (id, owner, n)
  JOIN venta AS v ON v.id = asked.id AND v.usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
 WHERE asked.owner IS NULL
    OR v.usuario_id = asked.owner
"""

# The sale is locked first: `antes` is then what the change really changed, whatever others do at the same time.
TARGET = f"""
WITH target AS (
    SELECT {COLUMNS}, version
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

BY_ID_OF_OWNER = f"""
-- ventas.by_id_of_owner: a sale that its owner asks for on a cluster, of one shard alone; uses venta_id_key
SELECT version, {COLUMNS}
  FROM venta
 WHERE usuario_id = %(owner)s
   AND id = %(id)s
   AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

BY_ID_OF_ANY = f"""
-- ventas.by_id_of_any: a sale that an admin asks for on a cluster, of every shard, since its id names none;
-- uses venta_id_key
SELECT version, {COLUMNS}
  FROM venta
 WHERE id = %(id)s
   AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
"""

UPDATE = f"""
-- ventas.update: changes what was sent of one user's sale, if the version is one asked for; recorded;
-- uses venta_id_key{TARGET}changed AS (
    UPDATE venta AS v
       SET {CHANGES},
           creacion      = coalesce(%(creacion)s::timestamptz, v.creacion),
           actualizacion = now(),
           version       = v.version + 1
      FROM target
     WHERE v.usuario_id = %(usuario_id)s
       AND v.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR target.version = ANY (%(versions)s))
       AND target.version <> ALL (%(others)s::bigint[])
       AND target.creacion >= %(since)s::timestamptz
       AND target.creacion < %(until)s::timestamptz
    RETURNING {COLUMNS_OF_V}{RECORDED}
           {RECORD.format(row="old")},
           {RECORD.format(row="new")}
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
           {RECORD.format(row="old")},
           NULL
      FROM target AS old
      JOIN gone ON gone.id = old.id
)
SELECT EXISTS (SELECT 1 FROM target), EXISTS (SELECT 1 FROM gone)
"""


async def insert(db: Runner, usuario_id: int, venta: int, ventas_productos: int) -> int | None:
    """The new sale's id; None when there is no such user."""
    if db.sharded:
        return await _insert_routed(db, usuario_id, venta, ventas_productos)
    return await db.gather(int, INSERT, usuario_id=usuario_id, venta=venta, ventas_productos=ventas_productos)


async def _insert_routed(db: Runner, usuario_id: int, venta: int, ventas_productos: int) -> int | None:
    if await usuarios.by_id(db, usuario_id) is None:
        return None
    try:
        return await db.gather(
            int, INSERT, INSERT_ROUTED, usuario_id=usuario_id, venta=venta, ventas_productos=ventas_productos
        )
    except ConstraintViolated as refused:  # deleted since
        if refused.kind is NO_USER:
            return None
        raise


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
    """The sale, if it is `owner`'s; without `owner`, anybody's."""
    if owner is None and db.sharded:
        return await db.one(VersionedSale.of, BY_ID_OF_ANY, id=id)
    return await db.gather(VersionedSale.of, BY_ID, BY_ID_OF_OWNER, id=id, owner=owner)


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
