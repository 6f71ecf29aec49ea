"""Statements on aviso (migrations/0008_protect_usuario.sql): mails that tell of a change of what opens an account.

The change itself writes them: usuarios_change.update, and the statements that have `told` in them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from core.database.database import Runner
from core.database.executors import Transaction
from core.problems import violated
from sql.enlaces import NEXT_TRY, kept

Tipo = Literal[
    "correo",
    "password",
    "factor_activado",
    "factor_quitado",
    "codigo_usado",
    "llave_creada",
    "llave_revocada",
]

NOTICES = 5  # mails a day at most that tell one user of one kind of change


class Undone(Struct, frozen=True):
    """What a link puts back, and since when changes are undone."""

    correo: str
    creacion: datetime


TOLD = """
    INSERT INTO aviso (usuario_id, tipo, correo, reversible, direccion, creacion, expira)
    SELECT owner.id, '{tipo}', owner.correo, %(reversible)s, CASE WHEN %(reversible)s THEN %(address)s ELSE '' END,
           owner.momento, now() + interval '72 hours'
      FROM owner
     WHERE %(notice)s
       AND {only_if}
       AND (SELECT count(*) < {NOTICES}
              FROM aviso AS a
             WHERE a.usuario_id = owner.id
               AND a.tipo = '{tipo}'
               AND a.creacion > now() - interval '1 day')"""


def told(tipo: Tipo, only_if: str = "true") -> str:
    """The part of a statement that has its CTE `owner` (id, correo, momento) told of a change, unless they were often
    today. What a user changes has moments in the order of the changes (clock_timestamp(), read once the user's row is
    locked): now() may be a wait older, and what it dates would outlive the undoing of the change before it."""
    return TOLD.format(tipo=tipo, only_if=only_if, NOTICES=NOTICES)


class Notice(Struct, frozen=True):
    """A mail that is to leave now, for `correo`: what was changed, when, and from which address.

    It carries a link when it is `reversible`. Not so an admin's change, whose `direccion` is empty, and the change by
    which its owner gave the account back the correo of before."""

    usuario_id: int
    id: UUID
    tipo: Tipo
    correo: str
    reversible: bool
    direccion: str
    creacion: datetime


CLAIM = """
-- avisos.claim: the mail that has waited longest; nobody else tries it for two minutes;
-- uses aviso_proximo_idx, aviso_pkey
WITH due AS (
    SELECT usuario_id, id
      FROM aviso
     WHERE proximo <= now()
       AND expira > now()
     ORDER BY proximo
     LIMIT 1
       FOR UPDATE SKIP LOCKED
)
UPDATE aviso AS a
   SET proximo  = now() + interval '2 minutes',
       intentos = a.intentos + 1
  FROM due
 WHERE a.usuario_id = due.usuario_id
   AND a.id = due.id
RETURNING a.usuario_id, a.id, a.tipo, a.correo, a.reversible, a.direccion, a.creacion
"""

SENT = """
-- avisos.sent: the mail left; its link is good for 72 hours from now; uses aviso_pkey
UPDATE aviso
   SET enviado = now(),
       expira  = now() + interval '72 hours',
       proximo = NULL,
       error   = NULL
 WHERE usuario_id = %(usuario_id)s
   AND id = %(id)s
"""

FAILED = f"""
-- avisos.failed: the mail did not leave; tries again after 5 s, 20 s, 80 s, 320 s and then every 15 minutes, or, after
-- ten tries or an answer that no try can change, never; uses aviso_pkey
WITH plan AS MATERIALIZED (
    SELECT usuario_id, id,
           {NEXT_TRY} AS proximo
      FROM aviso
     WHERE usuario_id = %(usuario_id)s
       AND id = %(id)s
)
UPDATE aviso AS a
   SET error   = %(error)s,
       proximo = plan.proximo
  FROM plan
 WHERE a.usuario_id = plan.usuario_id
   AND a.id = plan.id
"""

PUT_OFF = """
-- avisos.put_off: the mail server is away, which is no failure of this mail: it has lost no try; uses aviso_pkey
UPDATE aviso
   SET error    = %(error)s,
       intentos = intentos - 1,
       proximo  = now() + interval '5 seconds'
 WHERE usuario_id = %(usuario_id)s
   AND id = %(id)s
"""

USE = """
-- avisos.use: the correo that a link puts back, if it has not ended yet; ends it and the later ones, which may have
-- gone to the person that changed the account; uses aviso_pkey
WITH used AS (
    SELECT a.usuario_id, a.correo, a.creacion
      FROM aviso AS a
     WHERE a.usuario_id = %(usuario_id)s
       AND a.id = %(id)s
       AND a.reversible
       AND a.expira > now()
       FOR UPDATE OF a
), ended AS (
    DELETE FROM aviso AS a
     USING used
     WHERE a.usuario_id = used.usuario_id
       AND a.creacion >= used.creacion
)
SELECT correo, creacion
  FROM used
"""

RESERVED = """
-- avisos.reserved: whether a correo was another user's until lately, who may still take it back; uses aviso_correo_idx
SELECT coalesce(bool_or(expira > now()), false)
  FROM aviso
 WHERE lower(correo COLLATE minusculas) = lower(%(correo)s COLLATE minusculas)
   AND reversible
   AND usuario_id <> %(usuario_id)s
"""

SWEEP = """
-- avisos.sweep: forgets some of those that ended a week ago; uses aviso_expira_idx, aviso_pkey
WITH over AS (
    SELECT usuario_id, id
      FROM aviso
     WHERE expira < now() - interval '7 days'
     ORDER BY expira
     LIMIT 100
       FOR UPDATE SKIP LOCKED
)
DELETE FROM aviso AS a
 USING over
 WHERE a.usuario_id = over.usuario_id
   AND a.id = over.id
"""


async def claim(db: Runner) -> Notice | None:
    return await db.one(Notice, CLAIM)


async def sent(db: Runner, mail: Notice) -> None:
    await db.run(SENT, usuario_id=mail.usuario_id, id=mail.id)


async def failed(db: Runner, mail: Notice, error: str, *, again: bool) -> None:
    """Keeps the reason, and plans the next try if there may be one."""
    await db.run(FAILED, usuario_id=mail.usuario_id, id=mail.id, error=kept(error), again=again)


async def put_off(db: Runner, mail: Notice, error: str) -> None:
    """Keeps the reason; the mail is as new as it was before it was claimed."""
    await db.run(PUT_OFF, usuario_id=mail.usuario_id, id=mail.id, error=kept(error))


async def use(tx: Transaction, usuario_id: int, id: UUID) -> Undone | None:
    """What the link puts back, or None when it was not good any more; from here on it is not.

    In a transaction that holds the user's row, so that it sees every later one."""
    return await tx.one(Undone, USE, usuario_id=usuario_id, id=id)


async def refuse_reserved(tx: Transaction, correo: str, usuario_id: int) -> None:
    """Raises ConstraintViolated when another user, who had this correo until lately, may still take it back.

    It is asked after the change, in its transaction: the transaction that gave the correo up has committed by then."""
    if await tx.one(bool, RESERVED, correo=correo, usuario_id=usuario_id):
        raise violated("usuario_correo_key")


async def sweep(db: Runner) -> int:
    return await db.run(SWEEP)
