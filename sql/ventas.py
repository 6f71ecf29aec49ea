"""Statements on venta (migrations/0002_create_venta.sql)."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct, structs

from core.condition import Condition
from core.database.database import Database, Pooled, Transaction
from core.instants import Instant

Runner = Database | Pooled | Transaction

MAX_ID = 2**63 - 1
Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
Importe = Annotated[int, Meta(ge=0, le=10**15, description="amount, in cents")]
Productos = Annotated[int, Meta(ge=1, le=10**6, description="how many products")]


class Venta(Struct, frozen=True):
    """A sale; `venta` is its amount in cents, `creacion` is UTC."""

    id: int
    usuario_id: int
    venta: int
    ventas_productos: int
    creacion: Instant


class Versioned(Struct, frozen=True):
    """A sale and the version of its row, which its ETag carries."""

    version: int
    venta: Venta

    @staticmethod
    def of(version: int, *columns: object) -> "Versioned":
        return Versioned(version, Venta(*columns))  # type: ignore[arg-type]


class Change(Struct, frozen=True):
    """How a conditional change ended: was there a row, and did it still have the version asked for."""

    found: bool
    changed: bool


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
     WHERE NOT EXISTS (SELECT FROM missing)
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
-- ventas.by_id: each asked sale, if its asker may see it; uses venta_id_idx
SELECT asked.n, v.version, v.id, v.usuario_id, v.venta, v.ventas_productos, v.creacion
  FROM unnest(%(id)s::bigint[], %(owner)s::bigint[]) WITH ORDINALITY AS asked (id, owner, n)
  JOIN venta AS v ON v.id = asked.id AND v.usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
 WHERE asked.owner IS NULL
    OR v.usuario_id = asked.owner
"""

# A row that goes while it is looked at was not found; no lock is taken first, for a sharded table gives none without
# its owner.
UPDATE = """
-- ventas.update: changes what was sent, if the caller may and the version is one asked for; uses venta_id_idx
WITH target AS (
    SELECT usuario_id, id
      FROM venta
     WHERE id = %(id)s
       AND (%(owner)s::bigint IS NULL OR usuario_id = %(owner)s)
       AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
), changed AS (
    UPDATE venta AS v
       SET venta            = coalesce(%(venta)s, v.venta),
           ventas_productos = coalesce(%(ventas_productos)s, v.ventas_productos),
           version          = v.version + 1
      FROM target
     WHERE v.usuario_id = target.usuario_id
       AND v.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR v.version = ANY (%(versions)s))
       AND v.version <> ALL (%(others)s::bigint[])
    RETURNING v.id
)
SELECT EXISTS (SELECT FROM target WHERE %(versions)s IS NOT NULL OR %(others)s <> '{}'
               UNION ALL SELECT FROM changed),
       EXISTS (SELECT FROM changed)
"""

DELETE = """
-- ventas.delete: a sale, if the caller may and the version is one asked for; uses venta_id_idx
WITH target AS (
    SELECT usuario_id, id
      FROM venta
     WHERE id = %(id)s
       AND (%(owner)s::bigint IS NULL OR usuario_id = %(owner)s)
       AND usuario_id <> ALL (ARRAY(SELECT usuario_id FROM eliminacion))
), gone AS (
    DELETE FROM venta AS v
     USING target
     WHERE v.usuario_id = target.usuario_id
       AND v.id = target.id
       AND (%(versions)s::bigint[] IS NULL OR v.version = ANY (%(versions)s))
       AND v.version <> ALL (%(others)s::bigint[])
    RETURNING v.id
)
SELECT EXISTS (SELECT FROM target WHERE %(versions)s IS NOT NULL OR %(others)s <> '{}'
               UNION ALL SELECT FROM gone),
       EXISTS (SELECT FROM gone)
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


async def by_id(db: Runner, id: int, owner: int | None) -> Versioned | None:
    """The sale, if it is `owner`'s, or whoever's without `owner`."""
    return await db.gather(Versioned.of, BY_ID, id=id, owner=owner)


async def update(
    db: Runner,
    id: int,
    *,
    owner: int | None,
    condition: Condition,
    venta: int | None,
    ventas_productos: int | None,
) -> Change:
    """Sets the columns that are not None, if the sale is `owner`'s and its version meets `condition`."""
    change = await db.one(
        Change,
        UPDATE,
        id=id,
        owner=owner,
        venta=venta,
        ventas_productos=ventas_productos,
        **structs.asdict(condition),
    )
    return change or Change(found=False, changed=False)


async def delete(db: Runner, id: int, *, owner: int | None, condition: Condition) -> Change:
    change = await db.one(Change, DELETE, id=id, owner=owner, **structs.asdict(condition))
    return change or Change(found=False, changed=False)
