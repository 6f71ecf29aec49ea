"""Statements on enlace (migrations/0006_create_enlace.sql): the single-use links, and the mails that carry them."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from core.database.database import Runner
from core.database.executors import Transaction

Tipo = Literal["verificacion", "recuperacion"]

HOURS: dict[Tipo, int] = {"verificacion": 24, "recuperacion": 1}
"""How long a link is good for, from the sending of its mail; a mail is tried no longer than that either."""


class Mailing(Struct, frozen=True):
    """A link whose mail is to leave now, for `correo`."""

    usuario_id: int
    tipo: Tipo
    id: UUID
    correo: str


class Owner(Struct, frozen=True):
    """Whose account a link opens."""

    username: str
    correo: str
    estado: bool


class OutboxState(Struct, frozen=True):
    """How many mails wait to leave, and how long, in seconds, the first of them has."""

    mails: int
    age: float


_REPLACE = """
ON CONFLICT (usuario_id, tipo) DO UPDATE
   SET id       = excluded.id,
       correo   = excluded.correo,
       clave    = excluded.clave,
       creacion = excluded.creacion,
       expira   = excluded.expira,
       proximo  = excluded.proximo,
       intentos = 0,
       enviado  = NULL,
       error    = NULL
"""

VERIFY = f"""
-- enlaces.verify: a link, and its mail, that verifies a user's correo if it is not yet; ends an older one;
-- uses usuario_pkey, enlace_pkey
INSERT INTO enlace (usuario_id, tipo, correo, clave, expira)
SELECT id, 'verificacion', correo, sha256(convert_to(password, 'UTF8')), now() + %(hours)s * interval '1 hour'
  FROM usuario
 WHERE id = %(usuario_id)s
   AND NOT estado
   AND (%(again)s OR NOT EXISTS (SELECT 1 FROM enlace AS e
                                  WHERE e.usuario_id = %(usuario_id)s
                                    AND e.tipo = 'verificacion'
                                    AND e.correo = usuario.correo
                                    AND e.expira > now())){_REPLACE}"""

RECOVER = f"""
-- enlaces.recover: a link, and its mail, that sets a new password, if the correo is anybody's; ends an older one;
-- uses usuario_correo_key, enlace_pkey
INSERT INTO enlace (usuario_id, tipo, correo, clave, expira)
SELECT id, 'recuperacion', correo, sha256(convert_to(password, 'UTF8')), now() + %(hours)s * interval '1 hour'
  FROM usuario
 WHERE lower(correo COLLATE minusculas) = lower(%(correo)s COLLATE minusculas){_REPLACE}"""

OWNER = """
-- enlaces.owner: whose account a link opens, while it does; uses enlace_pkey, usuario_pkey
SELECT u.username, u.correo, u.estado
  FROM enlace AS e
  JOIN usuario AS u ON u.id = e.usuario_id
 WHERE e.usuario_id = %(usuario_id)s
   AND e.tipo = %(tipo)s
   AND e.id = %(id)s
   AND e.expira > now()
   AND e.correo = u.correo
   AND e.clave = sha256(convert_to(u.password, 'UTF8'))
"""

USE = """
-- enlaces.use: ends a link, if it has not ended yet; the user's row is locked first, so that a change of password or
-- correo comes before or after it; uses usuario_pkey, enlace_pkey
WITH owner AS (
    SELECT id, correo, sha256(convert_to(password, 'UTF8')) AS clave
      FROM usuario
     WHERE id = %(usuario_id)s
       FOR NO KEY UPDATE
)
DELETE FROM enlace AS e
 USING owner
 WHERE e.usuario_id = owner.id
   AND e.tipo = %(tipo)s
   AND e.id = %(id)s
   AND e.expira > now()
   AND e.correo = owner.correo
   AND e.clave = owner.clave
"""

CLAIM = """
-- enlaces.claim: the next mail, which nobody else tries for two minutes: what somebody waits for, then, where they are
-- asked for, verifications; the oldest first; uses enlace_cola_idx, enlace_pkey
WITH due AS (
    SELECT usuario_id, tipo
      FROM enlace
     WHERE proximo <= now()
       AND (tipo = 'verificacion') <= %(verifications)s
       AND expira > now()
     ORDER BY tipo = 'verificacion', proximo
     LIMIT 1
       FOR UPDATE SKIP LOCKED
)
UPDATE enlace AS e
   SET proximo  = now() + interval '2 minutes',
       intentos = e.intentos + 1
  FROM due
 WHERE e.usuario_id = due.usuario_id
   AND e.tipo = due.tipo
RETURNING e.usuario_id, e.tipo, e.id, e.correo
"""

SENT = """
-- enlaces.sent: the mail left; from now on the link is good for its hours; uses enlace_pkey
UPDATE enlace
   SET enviado = now(),
       expira  = now() + %(hours)s * interval '1 hour',
       proximo = NULL,
       error   = NULL
 WHERE usuario_id = %(usuario_id)s
   AND tipo = %(tipo)s
   AND id = %(id)s
"""

# When a mail that did not leave is tried again, if ever.
NEXT_TRY = """CASE WHEN %(again)s AND intentos < 10
                THEN now() + least(5 * 4 ^ (intentos - 1), 900) * interval '1 second' END"""

FAILED = f"""
-- enlaces.failed: this mail did not leave; it is tried again after 5 s, 20 s, 80 s, 320 s and then every 15 minutes or,
-- after ten tries or an answer that no try can change, never; uses enlace_pkey
WITH plan AS MATERIALIZED (
    SELECT usuario_id, tipo, id,
           {NEXT_TRY} AS proximo
      FROM enlace
     WHERE usuario_id = %(usuario_id)s
       AND tipo = %(tipo)s
       AND id = %(id)s
)
UPDATE enlace AS e
   SET error   = %(error)s,
       proximo = plan.proximo
  FROM plan
 WHERE e.usuario_id = plan.usuario_id
   AND e.tipo = plan.tipo
   AND e.id = plan.id
"""

PUT_OFF = """
-- enlaces.put_off: the mail server is away, which is no failure of this mail: it has lost no try; uses enlace_pkey
UPDATE enlace
   SET error    = %(error)s,
       intentos = intentos - 1,
       proximo  = now() + interval '5 seconds'
 WHERE usuario_id = %(usuario_id)s
   AND tipo = %(tipo)s
   AND id = %(id)s
"""

OUTBOX = """
-- enlaces.outbox: how many mails wait, and how long the first has;
-- uses enlace_cola_idx, enlace_expira_idx, aviso_proximo_idx
SELECT count(*), coalesce(extract(epoch FROM now() - min(creacion)), 0)::double precision
  FROM (SELECT creacion FROM enlace WHERE proximo IS NOT NULL AND expira > now()
         UNION ALL
        SELECT creacion FROM aviso WHERE proximo IS NOT NULL AND expira > now()) AS waiting
"""

SWEEP = """
-- enlaces.sweep: forgets some of the links that ended a week ago; uses enlace_expira_idx, enlace_pkey
WITH over AS (
    SELECT usuario_id, tipo
      FROM enlace
     WHERE expira < now() - interval '7 days'
     ORDER BY expira
     LIMIT 100
       FOR UPDATE SKIP LOCKED
)
DELETE FROM enlace AS e
 USING over
 WHERE e.usuario_id = over.usuario_id
   AND e.tipo = over.tipo
"""


async def verify(db: Runner, usuario_id: int, *, again: bool) -> bool:
    """Whether a mail will go out: not to a correo that is verified nor, unless `again`, to one that has a link."""
    return await db.run(VERIFY, usuario_id=usuario_id, again=again, hours=HOURS["verificacion"]) > 0


async def recover(db: Runner, correo: str) -> bool:
    """Whether a mail will go out: not when the correo is nobody's."""
    return await db.run(RECOVER, correo=correo, hours=HOURS["recuperacion"]) > 0


async def owner(db: Runner, usuario_id: int, tipo: Tipo, id: UUID) -> Owner | None:
    return await db.one(Owner, OWNER, usuario_id=usuario_id, tipo=tipo, id=id)


async def use(tx: Transaction, usuario_id: int, tipo: Tipo, id: UUID) -> bool:
    """Whether the link was still good; from here on it is not."""
    return await tx.run(USE, usuario_id=usuario_id, tipo=tipo, id=id) > 0


async def claim(db: Runner, *, verifications: bool) -> Mailing | None:
    """The next mail to send; without `verifications`, only one that somebody waits for."""
    return await db.one(Mailing, CLAIM, verifications=verifications)


async def sent(db: Runner, mail: Mailing) -> None:
    await db.run(SENT, **_key(mail), hours=HOURS[mail.tipo])


async def failed(db: Runner, mail: Mailing, error: str, *, again: bool) -> None:
    """Keeps the reason, and plans the next try if there may be one."""
    await db.run(FAILED, **_key(mail), error=kept(error), again=again)


async def put_off(db: Runner, mail: Mailing, error: str) -> None:
    """Keeps the reason; the mail is as new as it was before it was claimed."""
    await db.run(PUT_OFF, **_key(mail), error=kept(error))


def _key(mail: Mailing) -> dict[str, object]:
    return {"usuario_id": mail.usuario_id, "tipo": mail.tipo, "id": mail.id}


def kept(error: str) -> str:
    """Up to 200 printable characters."""
    return "".join(filter(str.isprintable, error))[:200]


async def outbox(db: Runner) -> OutboxState:
    return await db.one(OutboxState, OUTBOX) or OutboxState(0, 0.0)


async def sweep(db: Runner) -> int:
    return await db.run(SWEEP)
