"""Statements on idempotencia (migrations/0004_create_idempotencia.sql)."""

from hashlib import sha256

import msgspec
from msgspec import Struct

from core.database.database import Database, Runner
from core.database.executors import Transaction

UNKNOWN_ID = 2**63 - 1  # stands in an answer that is written before its row has an id


class Guardada(Struct, frozen=True):
    """The answer that a key got, and the fingerprint (SHA-256) of the request that got it.

    Of a request with a password or a code the fingerprint is 32 zero bytes, and `cuerpo` is sealed."""

    huella: bytes
    estado: int
    cabeceras: list[tuple[str, str]]
    cuerpo: bytes


class Claim(Struct, frozen=True):
    """What a statement takes to claim a key and to keep the answer, where UNKNOWN_ID stands for the new row's id."""

    usuario_id: int
    clave: str
    answer: Guardada

    @property
    def parameters(self) -> dict[str, object]:
        return {
            "turno": turn_of(self.usuario_id, self.clave),
            "quien": self.usuario_id,
            "clave": self.clave,
            **_columns(self.answer),
            "cuerpo": self.answer.cuerpo.decode(),
        }


class KeyTaken(Exception):
    """The key is another request's, or this one's from before: its answer is stored."""


TURN = """
-- idempotencia.turn: waits for the transaction that is at work with a key; no other then is, until this one ends;
-- uses no index
SELECT pg_advisory_xact_lock(%(turno)s::bigint)
"""

CLAIM = """
-- idempotencia.claim: takes a new or expired key for a request, after waiting for the transaction that has it now;
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


def turn_of(usuario_id: int, clave: str) -> int:
    """The number of the advisory lock that stands for a key while a transaction is at work with it."""
    digest = sha256(f"{usuario_id} {clave}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


async def claim(tx: Transaction, usuario_id: int, clave: str) -> bool:
    """Whether the key is this transaction's; if not, its answer is stored.

    Raises ConstraintViolated when the user is gone, and DatabaseUnavailable (DB_SLOW) when the request that has the
    key takes too long."""
    await tx.run(TURN, turno=turn_of(usuario_id, clave))
    return bool(await tx.run(CLAIM, usuario_id=usuario_id, clave=clave))


async def stored(db: Runner, usuario_id: int, clave: str) -> Guardada | None:
    return await db.one(Guardada, STORED, usuario_id=usuario_id, clave=clave)


async def store(tx: Transaction, usuario_id: int, clave: str, answer: Guardada) -> None:
    await tx.run(STORE, usuario_id=usuario_id, clave=clave, **_columns(answer))


def _columns(answer: Guardada) -> dict[str, object]:
    return {
        "huella": answer.huella,
        "estado": answer.estado,
        "cabeceras": msgspec.json.encode(answer.cabeceras).decode(),
        "cuerpo": answer.cuerpo,
    }


async def sweep(db: Database) -> int:
    """Forgets keys that expired, in a small batch; how many."""
    return await db.run(SWEEP)
