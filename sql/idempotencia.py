"""Statements on idempotencia (migrations/0004_create_idempotencia.sql)."""

import msgspec
from msgspec import Struct

from core.database.database import Database, Transaction


class Guardada(Struct, frozen=True):
    """The answer that a key got, and the fingerprint (SHA-256) of the request that got it."""

    huella: bytes
    estado: int
    cabeceras: list[tuple[str, str]]
    cuerpo: bytes


CLAIM = """
-- idempotencia.claim: takes a new or expired key for a request, after waiting for whoever has it now;
-- uses idempotencia_pkey
INSERT INTO idempotencia AS i (usuario_id, clave)
VALUES (%(usuario_id)s, %(clave)s)
    ON CONFLICT (usuario_id, clave) DO UPDATE
   SET creacion = EXCLUDED.creacion,
       expira = EXCLUDED.expira
 WHERE i.expira <= EXCLUDED.creacion
"""

STORED = """
-- idempotencia.stored: the answer that a key got; uses idempotencia_pkey
SELECT huella, estado, cabeceras, cuerpo
  FROM idempotencia
 WHERE usuario_id = %(usuario_id)s
   AND clave = %(clave)s
"""

STORE = """
-- idempotencia.store: the answer that the key of this transaction got; uses idempotencia_pkey
UPDATE idempotencia
   SET huella = %(huella)s,
       estado = %(estado)s,
       cabeceras = %(cabeceras)s,
       cuerpo = %(cuerpo)s
 WHERE usuario_id = %(usuario_id)s
   AND clave = %(clave)s
"""

SWEEP = """
-- idempotencia.sweep: forgets the keys that expired first, those of ten seconds; uses idempotencia_expira_idx
DELETE FROM idempotencia
 WHERE expira < now()
   AND expira < (SELECT min(expira) + interval '10 seconds' FROM idempotencia)
"""


async def claim(tx: Transaction, usuario_id: int, clave: str) -> bool:
    """Whether the key is this transaction's; if not, its answer is stored.

    Raises ConstraintViolated when the user is gone, and DatabaseUnavailable (DB_SLOW) when whoever has the
    key takes too long."""
    return bool(await tx.run(CLAIM, usuario_id=usuario_id, clave=clave))


async def stored(tx: Transaction, usuario_id: int, clave: str) -> Guardada | None:
    return await tx.one(Guardada, STORED, usuario_id=usuario_id, clave=clave)


async def store(tx: Transaction, usuario_id: int, clave: str, answer: Guardada) -> None:
    await tx.run(
        STORE,
        usuario_id=usuario_id,
        clave=clave,
        huella=answer.huella,
        estado=answer.estado,
        cabeceras=msgspec.json.encode(answer.cabeceras).decode(),
        cuerpo=answer.cuerpo,
    )


async def sweep(db: Database) -> int:
    """Forgets keys that expired, in a small batch; how many."""
    return await db.run(SWEEP)
